"""One process of the stack: started, watched and, when it dies, restarted with back-off."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipmill.stack.processes import Child, Command, Guard

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LIVED_WELL_SECONDS = 30.0  # after a life of this length the back-off starts from the beginning

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What to run, how to check that it is ready, how long it may take to stop."""

    name: str
    command: Callable[[], Command]
    is_ready: Callable[[], bool]
    stop_seconds: float


class Running:
    """A service with its present process and its history, which decides when to restart."""

    def __init__(self, service: Service, guard: Guard) -> None:
        self.service = service
        self._guard = guard
        self._deaths_in_a_row = 0
        self._due_at = 0.0
        self.child: Child | None = None
        self.log: Path | None = None

    def start(self) -> None:
        command = self.service.command()
        self.log = command.log
        self.child = Child(command)
        self._guard.enter(self.child)
        log.info("%s started", self.service.name, extra={"values": {"child_pid": self.child.pid}})

    def has_ended(self) -> bool:
        return self.child is None or self.child.has_ended()

    def keep_running(self) -> None:
        """Reap the process if it has died, restart it when its pause is over. Called often."""
        if self.child is not None and self.child.has_ended():
            self._reap(self.child)
        if self.child is None and time.monotonic() >= self._due_at:
            self.start()

    def ask_to_stop(self) -> None:
        """Ask the process to stop, and do not wait for it."""
        if self.child is not None:
            self.child.ask_to_stop()

    def stop(self) -> None:
        """Ask the process to stop, wait as long as it may take, then end what is left."""
        if self.child is None:
            return
        self.child.ask_to_stop()
        if not self._stops():
            log.warning(
                "%s did not stop within %g s: killed",
                self.service.name,
                self.service.stop_seconds,
            )
        self.end()

    def _stops(self) -> bool:
        """Whether the process ends in its time; each second it is said what is waited for."""
        assert self.child is not None
        whole = self.service.stop_seconds
        for second in range(math.ceil(whole)):
            if self.child.wait(min(1.0, whole - second)):
                return True
            log.info("waiting for the %s: %d s of %g s", self.service.name, second + 1, whole)
        return self.child.has_ended()

    def end(self) -> int | None:
        """End the process with its whole group at once; its exit status, None without a process."""
        if self.child is None:
            return None
        status = self.child.end()
        self._guard.strike_out(self.child)
        self.child = None
        return status

    def _reap(self, child: Child) -> None:
        lived_seconds = time.monotonic() - child.started_at
        self._deaths_in_a_row = (
            1 if lived_seconds >= LIVED_WELL_SECONDS else self._deaths_in_a_row + 1
        )
        pause = pause_seconds(self._deaths_in_a_row)
        self._due_at = time.monotonic() + pause
        status = self.end()
        log.error("%s ended with status %s; restarts in %g s", self.service.name, status, pause)


def pause_seconds(deaths_in_a_row: int) -> float:
    """How long to wait before the next start: doubled at each death, up to a limit."""
    doublings = min(deaths_in_a_row - 1, 16)
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * float(2**doublings))
