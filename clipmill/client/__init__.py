"""The Python client: `from clipmill.client import Client`."""

from __future__ import annotations

from clipmill.client.client import DEFAULT_URL, Client

__all__ = ["DEFAULT_URL", "Client"]
