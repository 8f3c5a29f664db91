"""All metrics that are counted, and what limits throughput now."""
