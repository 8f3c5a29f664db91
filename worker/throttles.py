"""Which sites we leave alone now, since they asked us to come less often."""

from __future__ import annotations

import threading
import time

MOST_SITES = 20


class Throttles:
    """What this worker has met of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def note(self, host: str, seconds: float) -> None:
        """A job was held up by this site, which is to be left alone for so long."""
        with self._lock:
            self._until[host] = time.monotonic() + seconds

    def forget(self, host: str) -> None:
        """It answers as it should."""
        with self._lock:
            self._until.pop(host, None)

    def sites(self) -> tuple[str, ...]:
        """Their host names, those that are left alone for longest before others."""
        now = time.monotonic()
        with self._lock:
            self._until = {host: until for host, until in self._until.items() if until > now}
            longest = sorted(self._until, key=self._until.__getitem__, reverse=True)
        return tuple(longest[:MOST_SITES])
