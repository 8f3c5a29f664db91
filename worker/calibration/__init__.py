"""A laboratory: measures what jobs take on this machine and fits the memory model to it."""
