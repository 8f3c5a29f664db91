"""The Python client: `from clipmill.client import Client`."""

from __future__ import annotations

from clipmill.client.calls import DEFAULT_URL
from clipmill.client.client import Client

__all__ = ["DEFAULT_URL", "Client"]
