"""Several services as one: started in order, kept running, stopped in order, with none left."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from clipmill.stack.processes import Guard
from clipmill.stack.service import Running, Service

LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class StackError(Exception):
    """The stack cannot be started; the message says why."""


class AlreadyRunning(StackError):
    """Another stack uses the same folder."""


class Supervisor:
    """A context manager: inside the block all services are ready, after it none is left.

    `services` start in the given order and stop in `stop_order` (names), which is not simply the
    reverse: API and worker are asked to stop together, the broker last.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        stop_order: Sequence[str],
        lock: IO[str],
        leftovers: Sequence[Path] = (),
        start_seconds: float = 60.0,
    ) -> None:
        self._services = services
        self._stop_order = stop_order
        self._lock = lock
        self._leftovers = leftovers
        self._start_seconds = start_seconds
        self._running: dict[str, Running] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="stack", daemon=True)
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        try:
            self._guard = Guard(self._lock.fileno())
            for folder in self._leftovers:
                self._guard.remove_if_killed(folder)
            self._start_all(self._guard)
            self._watcher.start()
        except BaseException:  # also Ctrl-C during the start: no process may be left
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def pids(self) -> list[int]:
        """The processes that were started here and run now, without their descendants."""
        children = [running.child for running in self._running.values()]
        guard = [self._guard.pid] if self._guard else []
        return [child.pid for child in children if child] + guard

    def stop(self) -> None:
        """Stop all services in order. A second Ctrl-C meanwhile ends everything at once."""
        self._stopping.set()
        try:
            self._end_watch()
            order = [self._running[name] for name in self._stop_order if name in self._running]
            # All but the last, which the others need: none begins new work while another stops.
            for running in order[:-1]:
                running.ask_to_stop()
            for running in order:
                running.stop()
        finally:
            self._end_watch()
            for running in self._running.values():
                running.end()
            if self._guard:
                self._guard.close()

    def _end_watch(self) -> None:
        if self._watcher.is_alive():
            self._watcher.join()

    def _start_all(self, guard: Guard) -> None:
        give_up_at = time.monotonic() + self._start_seconds
        for service in self._services:
            running = self._running[service.name] = Running(service, guard)
            running.start()
            self._await_ready(service, give_up_at)

    def _await_ready(self, service: Service, give_up_at: float) -> None:
        while not service.is_ready():
            self._refuse_early_deaths()
            if time.monotonic() >= give_up_at:
                raise StackError(f"{service.name} was not ready within {self._start_seconds:g} s")
            time.sleep(LOOK_SECONDS)

    def _refuse_early_deaths(self) -> None:
        """A process that dies before all are ready has a cause that a restart does not remove."""
        for name, running in self._running.items():
            if running.has_ended():
                why = f"; see {running.log}" if running.log else ""
                raise StackError(
                    f"{name} ended with status {running.end()} before it was ready{why}"
                )

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            for running in self._running.values():
                try:
                    running.keep_running()
                except OSError:  # out of processes or memory for now: the next round tries again
                    log.exception("%s could not be started", running.service.name)


@contextmanager
def folder_lock(folder: Path) -> Iterator[IO[str]]:
    """Lock the folder for one stack. Raises AlreadyRunning, which names the present owner."""
    with (folder / "stack.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"another stack already works in {folder} (process {file.read().strip()}): "
                "stop it, or choose another CLIPMILL_DATA_DIR"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file
