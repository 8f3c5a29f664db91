"""An answer that may wait for a change; it never polls the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from web.http.presence import client_presence
from web.http.services import Services, caller

Seen = TypeVar("Seen")


def wait_until(
    services: Services,
    topic: str,
    read: Callable[[], Seen],
    done: Callable[[Seen], bool],
    seconds: float,
) -> Seen:
    """What `read` returns once it is `done`, or after `seconds`. Raises TooManyWaiting."""
    if seconds <= 0:
        return read()
    end = time.monotonic() + seconds
    client = client_presence()
    # Watch first, then read: a change in between wakes this thread.
    with (
        services.places.waiting.slot(caller().name),
        services.changes.watch(topic) as watcher,
        client.waking(watcher.wake),
    ):
        while True:
            seen = read()
            left = end - time.monotonic()
            if done(seen) or left <= 0 or services.closing.is_set() or client.gone:
                return seen
            watcher.wait(left)
