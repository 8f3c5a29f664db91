"""What it takes to run a job safely on this machine."""
