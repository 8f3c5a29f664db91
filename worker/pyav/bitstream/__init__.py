"""What packets and side data say about pictures, read without decoding."""
