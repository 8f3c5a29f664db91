"""What a key may use: requests in a moment, jobs at once, bytes and media seconds in a day."""
