"""One process at a time: its limits, its deadline, its output, and nothing left behind."""
