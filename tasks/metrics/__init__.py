"""Every number that is counted, and what limits throughput now."""
