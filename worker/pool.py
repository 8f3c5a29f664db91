"""Celery's pool of threads, all of which are there before the first job comes."""

from __future__ import annotations

import threading
from typing import Any


def start_all_threads(pool: Any, count: int) -> None:
    """Have every thread now: Celery gives up when the machine has none to give later.

    Each waits until all are there, so that none does the work of two.
    """
    together = threading.Barrier(count)
    for _ in range(count):
        pool.executor.submit(together.wait)
