"""The ways in which a client asks an API: submissions, reads with a wait, streams."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from clipmill.client.connection import Closes, Connection
from clipmill.client.events import Event, read_events
from config.api import API_BASE

DEFAULT_URL = "http://127.0.0.1:8000"
SILENCE_SECONDS = 45.0  # of an event stream, which has a comment line every 10 s


class Calls(Closes):
    """One API, used with one key. A context manager."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        max_tries: int = 4,
    ) -> None:
        self._max_tries = max_tries
        self._connection = Connection(
            url, key, timeout_seconds=timeout_seconds, max_tries=max_tries
        )

    def close(self) -> None:
        self._connection.close()

    def _submit(self, path: str, body: Mapping[str, Any], idempotency_key: str | None) -> Any:
        # With an idempotency key a submission can be repeated without making a second job.
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return self._connection.json(
            "POST", API_BASE + path, repeatable=True, json=body, headers=headers
        )

    def _get(self, path: str, query: Mapping[str, str], hang_seconds: float) -> Any:
        if hang_seconds:
            query = {**query, "wait": f"{hang_seconds:g}"}
        return self._connection.json(
            "GET", API_BASE + path, params=query, extra_seconds=hang_seconds
        )

    def _stream(self, path: str, last_id: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        with self._connection.stream(
            "GET", API_BASE + path, headers=headers, timeout=SILENCE_SECONDS
        ) as response:
            yield from read_events(response.iter_lines())

    def adopt(self, name: str) -> dict[str, int]:
        """Give the jobs that were made without a key to this key; how many, and how many run."""
        found: dict[str, int] = self._post(f"/keys/{quote(name, safe='')}/adopt")
        return found

    def _post(self, path: str) -> Any:
        return self._connection.json("POST", API_BASE + path)
