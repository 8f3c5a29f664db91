"""The worker process: builds a worker from the settings, then receives messages.

Start it with `python -m worker.app`. SIGTERM or SIGINT drains it; a second one makes it hurry.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

from celery import Celery, signals

from config.logs import configure_logging
from config.settings import Settings, SettingsError, load_settings
from tasks.dispatch.broker import Broker, make_celery
from tasks.kinds import KINDS
from tasks.store.durability import UnsafeStore
from worker.build import Worker, build
from worker.celery_app import drain, make_worker, register_task, start_all_threads
from worker.memory.table import BadTable
from worker.process.orphans import become_subreaper
from worker.upkeep.watchdog import end_at_once

log = logging.getLogger(__name__)


def main(compose: Callable[[Settings, Broker], Worker] = build) -> int:
    """Run the worker that `compose` builds until a signal stops it; the exit status."""
    try:
        settings = load_settings(kinds=KINDS)
        settings.require_budget()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if settings.redis_url is None or settings.broker_url is None:
        print("CLIPMILL_REDIS_URL is not set; `clipmill up` starts a server", file=sys.stderr)
        return 2
    configure_logging(settings.log_format, settings.log_level)
    become_subreaper()
    celery = make_celery(settings.broker_url)
    try:
        worker = compose(settings, Broker(celery))
    except (UnsafeStore, BadTable) as error:
        print(error, file=sys.stderr)
        return 2
    return _consume(worker, celery)


def _consume(worker: Worker, celery: Celery) -> int:
    """Receive messages until a signal ends it; the exit status."""
    settings = worker.services.settings
    worker.pulse.attach(celery)
    register_task(celery, worker.runner.run_next, worker.draining)

    def on_ready(sender: Any, **_: object) -> None:
        # After Celery's own handlers, which would not requeue running jobs.
        beating, grace = worker.heartbeat, settings.shutdown_grace_seconds
        on_signal = drain(worker.draining, grace, beating.stop_waiting, beating.stop_all)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, on_signal)
        try:
            start_all_threads(sender.pool, settings.worker_concurrency)
            worker.start()
        except BaseException:
            # Celery would only log it, and take jobs without heartbeat or housekeeper.
            log.critical("the worker cannot start", exc_info=True)
            end_at_once()
        log.info("worker is ready", extra={"values": {"queues": settings.queues}})

    signals.worker_ready.connect(on_ready, weak=False)
    # Celery would set the root logger to a level of its own, and our lines would be lost.
    signals.setup_logging.connect(lambda **_: None, weak=False)
    consumer = make_worker(celery, settings)
    try:
        consumer.start()
    finally:
        worker.stop()
    return int(consumer.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
