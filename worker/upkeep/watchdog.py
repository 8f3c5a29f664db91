"""The last resort: a worker that cannot prove progress ends, so that a fresh one is started.

The guards of its tools see the worker end, and end the tools. The leases expire, and the jobs are
requeued.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping

from config.timings import PRODUCTION, Timings
from tasks.dispatch.broker import Broker
from tasks.errors import StoreUnavailable
from tasks.store import Store
from worker.engine.periodic import PeriodicThread

log = logging.getLogger(__name__)

# EX_SOFTWARE of sysexits.h; a supervisor restarts a process that ends with an error.
EXIT_STATUS = 70

Sign = Callable[[], float]  # a number that grows, or changes, with each proof of progress


def end_at_once() -> None:
    """End this process, even if its threads hang."""
    os._exit(EXIT_STATUS)


def servers_answer(redis_url: str | None, broker: Broker) -> bool:
    """Whether store and broker answer a new connection."""
    store = Store.at(redis_url or "")
    try:
        store.server.ping()
        broker.ping()
    except StoreUnavailable:
        return False
    finally:
        store.close()
    return True


class Watchdog(PeriodicThread):
    """One thread that checks the signs of life every second.

    It counts its own checks rather than seconds: after a stop (SIGSTOP, a sleeping machine) the
    other threads get their whole time to move. While `can_move` is False, as when the store or the
    broker is away, the worker does not end: a new process could do no more.
    """

    def __init__(
        self,
        signs: Mapping[str, Sign],
        can_move: Callable[[], bool],
        give_up: Callable[[], None] = end_at_once,
        timings: Timings = PRODUCTION,
    ) -> None:
        super().__init__("watchdog", timings.watchdog_look_seconds)
        self._timings = timings
        self._signs = signs
        self._can_move = can_move
        self._give_up = give_up
        self._last = {name: sign() for name, sign in signs.items()}
        self._still = dict.fromkeys(signs, 0)

    def round(self) -> None:
        """Check every sign once."""
        for name, sign in self._signs.items():
            seen = sign()
            self._still[name] = 0 if seen != self._last[name] else self._still[name] + 1
            self._last[name] = seen
        patience = self._timings.watchdog_patience_looks
        dead = [name for name, looks in self._still.items() if looks >= patience]
        longest = max(self._still.values())
        if not dead and (longest == 0 or longest % self._timings.watchdog_ask_looks):
            return
        # Called before the end too: after an outage the threads get the whole time to come back.
        if not self._can_move():
            self._still = dict.fromkeys(self._signs, 0)
        elif dead:
            log.critical("no progress: this worker ends itself", extra={"values": {"dead": dead}})
            self._give_up()
