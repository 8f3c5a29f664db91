"""Threads for requests, in lanes: those who wait never keep back those who are answered at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from config.api import API_BASE
from web.gateway.environ import Environ

Result = TypeVar("Result")

# A request costs more in a crowd of threads, which queue for the interpreter, than in a few.
_QUICK_THREADS = 4
# These wait for the store and for name servers.
_WORK_THREADS = 32
# For the blocks of long answers: a client that reads slowly holds none of them.
_SENDING_THREADS = 16
# In a request: its body is a file, which its thread reads while it comes.
RECEIVING = "clipmill.receiving"
# Those who wait are counted, and refused in a thread.
_SPARE_THREADS = 32

_JOBS = f"{API_BASE}/jobs/"
_QUICK_PATHS = frozenset({"/", "/livez", "/readyz", "/health", f"{API_BASE}/system/health"})


class NoThread(Exception):
    """The process may not have another thread."""


async def in_thread(threads: Executor, work: Callable[..., Result], *args: Any) -> Result:
    """What the work returns. Raises NoThread when it got none; the work may be done later."""
    try:
        answer = asyncio.get_running_loop().run_in_executor(threads, work, *args)
    except RuntimeError as error:
        raise NoThread from error
    return await answer


class Lanes:
    """The pools of one process."""

    def __init__(self, waiting: int, receiving: int) -> None:
        """How many requests may wait, and how many may send a file, at once."""
        self._quick = ThreadPoolExecutor(_QUICK_THREADS, "quick")
        self._work = ThreadPoolExecutor(_WORK_THREADS, "work")
        self._receiving = ThreadPoolExecutor(receiving + _SPARE_THREADS, "receiving")
        self._sending = ThreadPoolExecutor(_SENDING_THREADS, "sending")
        self._waiting = ThreadPoolExecutor(waiting + _SPARE_THREADS, "waiting")

    def of(self, environ: Environ) -> ThreadPoolExecutor:
        """The lane of a request."""
        if environ.get(RECEIVING):
            return self._receiving
        if may_wait(environ):
            return self._waiting
        return self._quick if _is_quick(environ) else self._work

    def of_blocks(self, environ: Environ) -> ThreadPoolExecutor:
        """The lane in which the blocks of a long answer are made."""
        return self._waiting if may_wait(environ) else self._sending


def may_wait(environ: Environ) -> bool:
    """Whether the request asks to wait for a change."""
    path: str = environ["PATH_INFO"]
    prefers = "wait" in environ.get("HTTP_PREFER", "").lower()
    return prefers or "wait" in environ["QUERY_STRING"] or path.endswith("/events")


def _is_quick(environ: Environ) -> bool:
    path: str = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] != "GET":
        return False
    return path in _QUICK_PATHS or (path.startswith(_JOBS) and path.count("/") == _JOBS.count("/"))
