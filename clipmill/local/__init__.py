"""What a command does on this machine itself, without asking the API."""
