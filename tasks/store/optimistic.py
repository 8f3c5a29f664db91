"""Changes of records that other writers may change too: read, decide, write, else read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tasks.errors import Conflict, StoreUnavailable

MOST_TRIES = 20

Answer = TypeVar("Answer")


def until_unopposed(attempt: Callable[[], Answer]) -> Answer:
    """The result of the attempt, which is repeated from its read on while it raises Conflict.

    Raises StoreUnavailable after MOST_TRIES conflicts, and every other error of the attempt.
    """
    for _ in range(MOST_TRIES):
        try:
            return attempt()
        except Conflict:
            continue
    raise StoreUnavailable("the job changes too fast: try again")
