"""Which sites have asked us lately to come less often."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

from tasks.errors import JobError, SiteThrottled
from tasks.job import Job

# About as long as the first retries wait: so long the site holds jobs up.
MEMORY_SECONDS = 90.0
MOST_SITES = 20


class Throttles:
    """Remembers throttling sites for a while. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def note(self, job: Job, error: JobError) -> None:
        """An attempt failed; only one that a site throttled is remembered."""
        if isinstance(error, SiteThrottled) and job.spec.source.url is not None:
            host = urlsplit(job.spec.source.url).hostname or ""
            with self._lock:
                self._until[host] = time.monotonic() + MEMORY_SECONDS

    def sites(self) -> tuple[str, ...]:
        """Their host names, those that throttled last before others."""
        now = time.monotonic()
        with self._lock:
            self._until = {host: until for host, until in self._until.items() if until > now}
            latest = sorted(self._until, key=self._until.__getitem__, reverse=True)
        return tuple(latest[:MOST_SITES])
