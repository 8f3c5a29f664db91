"""Endpoints that an owner has registered: they are told of the ends of all its jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tasks.errors import NotFound, TooManyEndpoints
from tasks.ids import IdMaker
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.keys import key
from tasks.webhook import Webhook

MOST_ENDPOINTS = 20
_ID = re.compile(r"e[0-9a-hjkmnp-tv-z]{26}")


@dataclass(frozen=True)
class Endpoint:
    """A registered URL. Times are seconds since 1970, UTC."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: float
    disabled: str | None  # why nothing is sent
    failures: int  # tries that failed since the last success
    waiting: int  # deliveries that wait

    @classmethod
    def of(cls, id: str, got: Mapping[bytes, bytes], waiting: int) -> Self:
        """The endpoint from the fields of its hash."""
        disabled = got.get(b"disabled")
        return cls(
            id=id,
            url=got[b"url"].decode(),
            events=tuple(got[b"events"].decode().split()),
            created_at=float(got[b"created_at"]),
            disabled=disabled.decode() if disabled else None,
            failures=int(got.get(b"failures", 0)),
            waiting=waiting,
        )


class Endpoints(StorePart):
    """The registered endpoints of each owner."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._new_id = IdMaker()

    def register(self, webhook: Webhook, owner: str) -> Endpoint:
        """Record an endpoint. Raises TooManyEndpoints."""
        id = "e" + self._new_id()
        args = (id, owner, webhook.url, " ".join(webhook.events), MOST_ENDPOINTS)
        if not self._run("webhook_register", [], *args):
            raise TooManyEndpoints(f"there are {MOST_ENDPOINTS} endpoints already: delete one")
        return self.get(id, owner)

    def of(self, owner: str) -> list[Endpoint]:
        """All endpoints of an owner, the oldest first."""
        with translated():
            ids = [
                it.decode() for it in self._redis.zrange(key("webhook", "endpoints", owner), 0, -1)
            ]
            pipeline = self._redis.pipeline(transaction=False)
            for id in ids:
                pipeline.hgetall(key("webhook", "endpoint", id))
                pipeline.zcard(key("webhook", "queue", id))
            rows = pipeline.execute()
        found = zip(ids, rows[::2], rows[1::2], strict=True)
        return [Endpoint.of(id, row, waiting) for id, row, waiting in found if row]

    def get(self, endpoint_id: str, owner: str) -> Endpoint:
        """One endpoint. Raises NotFound."""
        for endpoint in self.of(owner):
            if endpoint.id == endpoint_id:
                return endpoint
        raise NotFound("there is no such webhook")

    def delete(self, endpoint_id: str, owner: str) -> None:
        """Remove an endpoint; deliveries that wait for it fail. Raises NotFound."""
        if not _ID.fullmatch(endpoint_id) or not self._run(
            "webhook_unregister", [], endpoint_id, owner
        ):
            raise NotFound("there is no such webhook")

    def enable(self, endpoint_id: str, owner: str) -> Endpoint:
        """Use a disabled endpoint again, at once. Raises NotFound."""
        if not _ID.fullmatch(endpoint_id) or not self._run(
            "webhook_enable", [], endpoint_id, owner
        ):
            raise NotFound("there is no such webhook")
        return self.get(endpoint_id, owner)
