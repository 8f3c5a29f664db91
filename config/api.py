"""The base path of the API."""

API_BASE = "/api/v2"
