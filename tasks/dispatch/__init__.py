"""How jobs enter the queue, and what follows from their end. Read `dispatcher` first."""

from __future__ import annotations

from tasks.dispatch.dispatcher import Dispatcher
from tasks.dispatch.planning import JobRequest

__all__ = ["Dispatcher", "JobRequest"]
