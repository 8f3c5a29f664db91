"""Spans from the request over the job to its tools. Off unless an endpoint is set."""
