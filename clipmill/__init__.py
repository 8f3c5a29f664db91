"""What people use: the client and the command line. It uses the rest over HTTP."""
