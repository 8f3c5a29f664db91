"""Webhooks in the store: who is told, which messages wait, and what they are signed with.

The messages are written with the ends of jobs, by the script that writes these
(`tasks/store/lua/write/webhooks.lua`).
"""

from __future__ import annotations

from tasks.outbox.deliveries import Deliveries
from tasks.outbox.endpoints import Endpoints
from tasks.outbox.secrets import Secrets
from tasks.store.connection import Connection

__all__ = ["Outbox"]


class Outbox:
    """All of it, on the connection of the store."""

    def __init__(self, connection: Connection) -> None:
        self.deliveries = Deliveries(connection)
        self.endpoints = Endpoints(connection)
        self.secrets = Secrets(connection)
