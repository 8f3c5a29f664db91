"""Sites that asked us to come less often: known to all workers, so that none hammers them."""

from __future__ import annotations

from tasks.store.connection import StorePart, translated
from tasks.store.keys import key

# After a pause one job tries; so long the others wait for what comes of it.
PROBE_SECONDS = 20.0
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 900.0


class Sites(StorePart):
    """A circuit for each host: closed after a refusal, tried by one, open after a success."""

    def pause(self, host: str) -> float:
        """Seconds until a request to this host may be tried; 0 when now is fine."""
        return float(self._run("site", [key("site", host)], "ask", PROBE_SECONDS))

    def refused(self, host: str) -> None:
        """It asked us to come less often: everyone stays away, each time for twice as long."""
        words = ("refused", FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._run("site", [key("site", host)], *words)

    def served(self, host: str) -> None:
        """It answered as it should."""
        with translated():
            self._redis.delete(key("site", host))
