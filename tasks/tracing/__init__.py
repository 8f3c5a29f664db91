"""Spans of requests, jobs and tools. Off unless an endpoint is set."""
