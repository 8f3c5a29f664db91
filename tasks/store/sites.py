"""Sites that throttle us, known to all workers, so that no worker keeps sending requests."""

from __future__ import annotations

from config.timings import PRODUCTION, Timings
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key


class Sites(StorePart):
    """A circuit breaker for each host: a refusal pauses it, then one job tries it for all."""

    def pause(self, host: str, timings: Timings = PRODUCTION) -> float:
        """Seconds until a job may send requests to this host; 0 for now."""
        return float(self._run("site", [key("site", host)], "ask", timings.site_probe_seconds))

    def refused(self, host: str, timings: Timings = PRODUCTION) -> None:
        """The host throttled a job: all workers pause, each time for twice as long."""
        args = ("refused", timings.first_site_pause_seconds, timings.longest_site_pause_seconds)
        self._run("site", [key("site", host)], *args)

    def served(self, host: str) -> None:
        """The host served a job: forget its refusals."""
        with translated():
            self._redis.delete(key("site", host))
