"""What a client may say. Loading a schema gives the values of `tasks`, or names every fault."""
