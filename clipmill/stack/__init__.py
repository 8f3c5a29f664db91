"""Starts Valkey, the API and the worker, keeps them running and stops them together."""
