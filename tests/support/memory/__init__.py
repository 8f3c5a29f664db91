"""Estimates of memory beside what clips really take; the benchmarks draw them, tests judge them."""
