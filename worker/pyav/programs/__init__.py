"""Programs that are run beside a cut: each reads a spec and writes one result."""
