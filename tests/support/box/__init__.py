"""A small machine: the whole system in a memory group, and how much each role uses there."""
