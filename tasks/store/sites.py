"""Sites that asked us to come less often: known to all workers, so that none hammers them."""

from __future__ import annotations

from config.timings import PRODUCTION, Timings
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key


class Sites(StorePart):
    """A circuit for each host: closed after a refusal, tried by one, open after a success."""

    def pause(self, host: str, timings: Timings = PRODUCTION) -> float:
        """Seconds until a request to this host may be tried; 0 when now is fine."""
        return float(self._run("site", [key("site", host)], "ask", timings.site_probe_seconds))

    def refused(self, host: str, timings: Timings = PRODUCTION) -> None:
        """It asked us to come less often: everyone stays away, each time for twice as long."""
        words = ("refused", timings.first_site_pause_seconds, timings.longest_site_pause_seconds)
        self._run("site", [key("site", host)], *words)

    def served(self, host: str) -> None:
        """It answered as it should."""
        with translated():
            self._redis.delete(key("site", host))
