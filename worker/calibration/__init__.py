"""Measuring the memory of jobs on this machine, and fitting the memory model to the peaks."""
