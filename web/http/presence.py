"""Whether the client of a request is still there, for answers that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import request

PRESENCE = "clipmill.presence"


class Presence:
    """The client of one request. Thread-safe."""

    def __init__(self) -> None:
        self._gone = False
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], None]] = []

    @property
    def gone(self) -> bool:
        """Whether the client has disconnected."""
        return self._gone

    def leave(self) -> None:
        """The client has disconnected: wake what waits for its sake."""
        with self._lock:
            self._gone = True
            wakes = [*self._wakes]
        for wake in wakes:
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` when the client leaves, or at once if it has left."""
        with self._lock:
            self._wakes.append(wake)
            gone = self._gone
        if gone:
            wake()
        try:
            yield
        finally:
            with self._lock:
                self._wakes.remove(wake)


def client_presence() -> Presence:
    """The present request's client; one that stays, where the server does not say."""
    found = request.environ.get(PRESENCE)
    return found if isinstance(found, Presence) else Presence()
