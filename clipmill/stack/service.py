"""One process of the stack: started, watched and, when it dies, started again with back-off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipmill.stack.processes import Child, Command, Keeper

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LIVED_WELL_SECONDS = 30.0  # a process that lived so long starts with the first pause again

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What to run, how to see that it is ready, how long it may take to stop."""

    name: str
    command: Callable[[], Command]
    is_ready: Callable[[], bool]
    stop_seconds: float


class Running:
    """A service with its present process and the history that decides about the next one."""

    def __init__(self, service: Service, keeper: Keeper) -> None:
        self.service = service
        self._keeper = keeper
        self._deaths_in_a_row = 0
        self._due_at = 0.0
        self.child: Child | None = None
        self.log: Path | None = None

    def start(self) -> None:
        command = self.service.command()
        self.log = command.log
        self.child = Child(command)
        self._keeper.enter(self.child)
        log.info("%s started", self.service.name, extra={"values": {"child_pid": self.child.pid}})

    def has_ended(self) -> bool:
        return self.child is None or self.child.has_ended()

    def keep_running(self) -> None:
        """One look: bury what has died, start again what is due. Called again and again."""
        if self.child is not None and self.child.has_ended():
            self._bury(self.child)
        if self.child is None and time.monotonic() >= self._due_at:
            self.start()

    def stop(self) -> None:
        """Ask, wait as long as the service may take, then end what is left."""
        if self.child is None:
            return
        self.child.ask_to_stop()
        if not self.child.wait(self.service.stop_seconds):
            log.warning(
                "%s did not stop within %g s: killed",
                self.service.name,
                self.service.stop_seconds,
            )
        self.end()

    def end(self) -> int | None:
        """End the process with all its group at once; its exit status, None if there was none."""
        if self.child is None:
            return None
        status = self.child.end()
        self._keeper.strike_out(self.child)
        self.child = None
        return status

    def _bury(self, child: Child) -> None:
        lived_seconds = time.monotonic() - child.started_at
        self._deaths_in_a_row = (
            1 if lived_seconds >= LIVED_WELL_SECONDS else self._deaths_in_a_row + 1
        )
        pause = pause_seconds(self._deaths_in_a_row)
        self._due_at = time.monotonic() + pause
        status = self.end()
        log.error("%s ended with status %s; starts again in %g s", self.service.name, status, pause)


def pause_seconds(deaths_in_a_row: int) -> float:
    """How long to wait before the next start: doubled at each death, up to a bound."""
    doublings = min(deaths_in_a_row - 1, 16)
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * float(2**doublings))
