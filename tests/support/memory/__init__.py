"""Estimates of memory beside the peaks of clips; benchmarks draw them, tests judge them."""
