"""Changing what others may change at the same time: read, decide, write, else look again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tasks.errors import Conflict, StoreUnavailable

MOST_TRIES = 20

Answer = TypeVar("Answer")


def until_unopposed(attempt: Callable[[], Answer]) -> Answer:
    """What the attempt answers; made again, from its reading on, while it ends in a Conflict.

    Raises StoreUnavailable when the others never pause, and whatever else the attempt raises.
    """
    for _ in range(MOST_TRIES):
        try:
            return attempt()
        except Conflict:
            continue
    raise StoreUnavailable("the job changes too fast")
