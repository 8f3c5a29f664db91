"""Where the API lies on its server."""

API_BASE = "/api/v2"
