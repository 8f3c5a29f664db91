"""Where jobs wait for memory and cores: at this worker, unless a peer could start them sooner."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from config.timings import PRODUCTION, Timings
from tasks.errors import ExceedsMemoryBudget
from tasks.job import Job, WaitReason
from worker.attempt.lease import LeasedJob
from worker.engine.budget import Budget, NoRoomYet, Reservation, Wait
from worker.engine.peers import Peers
from worker.engine.preconditions import Postpone
from worker.memory.need import ResourceNeed


class Admission:
    """Admits jobs to the budget, and records what each job waits for."""

    def __init__(self, budget: Budget, peers: Peers, timings: Timings = PRODUCTION) -> None:
        self.budget = budget
        self._peers = peers
        self._timings = timings

    def leave_to_larger(self, job: Job, need: ResourceNeed) -> None:
        """Raises Postpone for a job that can never run here, while a larger worker may run it."""
        if self._is_for_larger(job, max(need.memory_bytes, job.memory_floor_bytes)):
            raise Postpone(
                self._timings.too_large_seconds, ExceedsMemoryBudget.code, WaitReason.MEMORY
            )

    @contextmanager
    def room_for(self, leased: LeasedJob, need: ResourceNeed) -> Iterator[Reservation]:
        """Memory and cores for the block. Raises as `Budget.reserve` does."""
        with ExitStack() as held:
            with _wait_counted(leased):
                wait = self._wait(leased, need)
                reservation = self.budget.reserve(need.memory_bytes, need.cores, wait=wait)
                reservation_now = held.enter_context(reservation)
            yield reservation_now

    def exchange(
        self, leased: LeasedJob, reservation: Reservation, need: ResourceNeed, seconds_left: float
    ) -> None:
        """Exchange the reservation of an attempt, between two tools, for one that it needs now.

        Raises NoRoomYet: the job is requeued, and its next attempt reserves this need at once.
        """
        wait = self._wait(leased, need, seconds_left)
        try:
            if self._is_for_larger(leased.job, need.memory_bytes):
                raise NoRoomYet(leased.job.times_bypassed)
            with _wait_counted(leased):
                reservation.exchange(need.memory_bytes, need.cores, wait=wait)
        except NoRoomYet:
            leased.change(lambda job: job.needing(need.memory_bytes))
            raise
        if leased.job.wait_reason is not None:
            leased.change(lambda job: job.waiting_for(None))

    def _is_for_larger(self, job: Job, need_bytes: int) -> bool:
        """Whether the job can never fit here, and there is a worker with more memory to decide.

        Any worker with more: its recorded peaks may differ. If all refuse the job, the largest
        worker fails it.
        """
        own_bytes = self.budget.total_bytes
        return need_bytes > own_bytes and self._peers.largest_budget(job.kind) > own_bytes

    def _wait(self, leased: LeasedJob, need: ResourceNeed, most_seconds: float = math.inf) -> Wait:
        until = time.monotonic() + most_seconds
        return Wait(
            self._timings.admission_patience_seconds,
            cancelled=lambda: leased.stop.reason is not None or time.monotonic() >= until,
            on_wait=lambda: self._record_wait(leased, need),
            elsewhere=lambda: self._peers.could_begin(leased.job.kind, need.memory_bytes),
            times_bypassed=leased.job.times_bypassed,
        )

    def _record_wait(self, leased: LeasedJob, need: ResourceNeed) -> None:
        has_bytes = self.budget.has_bytes(need.memory_bytes)
        reason = WaitReason.CONCURRENCY if has_bytes else WaitReason.MEMORY
        leased.change(lambda job: job.waiting_for(reason))


@contextmanager
def _wait_counted(leased: LeasedJob) -> Iterator[None]:
    """Count how long a job waits for memory, however the wait ends."""
    began = time.monotonic()
    try:
        yield
    finally:
        waited = time.monotonic() - began
        leased.observer.waited_for_room(waited)
