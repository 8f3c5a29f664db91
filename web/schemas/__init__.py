"""What a client may send. Loading a schema returns the values of `tasks`, or names every fault."""
