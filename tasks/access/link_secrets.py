"""The secrets that links are signed with: a new one each month, old ones until no link has them."""

from __future__ import annotations

import json
import secrets
import threading
import time

from tasks.store.connection import Connection, StorePart, translated
from tasks.store.keys import key

LONGEST_LINK_SECONDS = 7 * 86_400
_NEW_AFTER_SECONDS = 30 * 86_400
_READ_AGAIN_SECONDS = 60.0


class LinkSecrets(StorePart):
    """Secrets by a short id. All API processes share them."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, float]] = {}
        self._read_at = 0.0

    def current(self) -> tuple[str, str]:
        """The id and the secret for a new link. Raises StoreUnavailable."""
        with self._lock:
            self._read()
            newest = max(self._known.items(), key=lambda item: item[1][1], default=None)
            if newest is None or newest[1][1] < time.time() - _NEW_AFTER_SECONDS:
                self._make()
                newest = max(self._known.items(), key=lambda item: item[1][1])
            return newest[0], newest[1][0]

    def of(self, id: str) -> str | None:
        """The secret of a link that was made; None for an unknown one. Raises StoreUnavailable."""
        with self._lock:
            if id not in self._known or time.monotonic() > self._read_at + _READ_AGAIN_SECONDS:
                self._read()
            found = self._known.get(id)
            return found[0] if found else None

    def _read(self) -> None:
        with translated():
            rows = self._redis.hgetall(key("link_secrets"))
        oldest = time.time() - _NEW_AFTER_SECONDS - LONGEST_LINK_SECONDS
        found = {id.decode(): json.loads(text) for id, text in rows.items()}
        self._known = {id: (secret, at) for id, (secret, at) in found.items() if at > oldest}
        over = [id for id in found if id not in self._known]
        if over:
            with translated():
                self._redis.hdel(key("link_secrets"), *over)
        self._read_at = time.monotonic()

    def _make(self) -> None:
        made = json.dumps([secrets.token_urlsafe(32), time.time()])
        with translated():
            self._redis.hset(key("link_secrets"), secrets.token_hex(4), made)
        self._read()
