"""The values an operator may change: settings, logging, Prometheus files."""
