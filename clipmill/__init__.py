"""What people touch: the client and the command line. Speaks HTTP to the rest."""
