"""A small machine: the whole system in a memory group, and who uses how much of it there."""
