"""Sites that throttle us, known to all workers, so that no worker keeps sending requests."""

from __future__ import annotations

from config.timings import PRODUCTION, Timings
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key


class Sites(StorePart):
    """A circuit breaker for each host: a refusal pauses it, then one job tries it for all.

    Each owner has breakers of its own: a host may answer one of them through a redirect to another
    site that throttles, and that must not keep the others from it.
    """

    def pause(self, owner: str, host: str, timings: Timings = PRODUCTION) -> float:
        """Seconds until a job of this owner may send requests to this host; 0 for now."""
        breaker = key("site", owner, host)
        return float(self._run("site", [breaker], "ask", timings.site_probe_seconds))

    def refused(self, owner: str, host: str, timings: Timings = PRODUCTION) -> None:
        """The host throttled a job: all workers pause, each time for twice as long."""
        args = ("refused", timings.first_site_pause_seconds, timings.longest_site_pause_seconds)
        self._run("site", [key("site", owner, host)], *args)

    def served(self, owner: str, host: str) -> None:
        """The host served a job: forget its refusals."""
        with translated():
            self._redis.delete(key("site", owner, host))
