"""Numbers for Prometheus: gathered from requests and the store, and written out."""
