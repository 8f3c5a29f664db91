"""The Celery side of receiving: one task, a pulse, a drain, and a pool of threads."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

from celery import Celery, bootsteps
from celery.exceptions import SecurityWarning
from celery.worker import state as celery_state

from config.settings import Settings
from tasks.dispatch.broker import TASK_NAME, queue_name
from tasks.errors import StoreUnavailable
from worker.process.limits import ProcessEnd

log = logging.getLogger(__name__)

# A job that ends does not wake Celery's loop; by itself the loop looks for a free slot each second.
PULSE_SECONDS = 0.1


class LoopTicker:
    """Keeps Celery's event loop awake and counts its rounds: a loop that runs receives messages."""

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        """Count one round of the loop."""
        self.beats += 1

    def attach(self, celery: Celery) -> None:
        """Make the consumer beat. After each lost connection its timers must be set anew."""
        beat = self.beat

        class Beating(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
            requires = ("celery.worker.consumer.tasks:Tasks",)

            def start(self, consumer: Any) -> None:
                consumer.timer.call_repeatedly(PULSE_SECONDS, beat)

        celery.steps["consumer"].add(Beating)


def register_task(
    celery: Celery, run_next: Callable[[str], object], draining: threading.Event
) -> None:
    """The one Celery task: a message of a kind runs the next ready job of that kind."""

    def run(self: Any, job_id: str) -> None:
        kind = self.request.delivery_info["routing_key"].rpartition(".")[2]
        if draining.is_set():
            return  # the record stays ready; another worker's housekeeper sends the message again
        try:
            run_next(kind)
        except StoreUnavailable as error:
            log.warning("the store went away under a job: %s", error.message)
        except BaseException:
            # Whatever leaves a task of the threads pool costs the worker a slot for good.
            log.exception("a job escaped its runner")

    celery.task(run, name=TASK_NAME, bind=True)


def drain(
    draining: threading.Event,
    grace_seconds: float,
    stop_waiting: Callable[[ProcessEnd], None],
    stop_all: Callable[[ProcessEnd], None],
) -> Callable[[int, FrameType | None], None]:
    """The signal handler: begin no more, let jobs end within the grace, requeue the others."""

    def on_signal(signum: int, frame: FrameType | None) -> None:
        hurry = draining.is_set()
        draining.set()
        grace = 0.0 if hurry else grace_seconds
        celery_state.should_stop = 0
        for seconds, stop in ((0.0, stop_waiting), (grace, stop_all)):
            timer = threading.Timer(seconds, stop, [ProcessEnd.SHUTDOWN])
            timer.daemon = True
            timer.start()

    return on_signal


def make_worker(celery: Celery, settings: Settings) -> Any:
    """Celery's own worker, with everything switched off that is not needed."""
    with warnings.catch_warnings():
        # Celery warns of root because of pickled messages; this worker accepts JSON alone.
        warnings.simplefilter("ignore", SecurityWarning)
        return celery.Worker(
            pool="threads",
            concurrency=settings.worker_concurrency,
            queues=[queue_name(kind) for kind in settings.queues],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
            quiet=True,
        )


def start_all_threads(pool: Any, count: int) -> None:
    """Start every thread now: Celery ends when the machine refuses a thread later.

    Each thread waits until all have started, so that none does the work of two.
    """
    together = threading.Barrier(count)
    for _ in range(count):
        pool.executor.submit(together.wait)
