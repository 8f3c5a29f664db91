"""Metrics for Prometheus: collected from requests and the store, and written out."""
