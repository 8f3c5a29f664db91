"""Requests in a moving window, counted in the store, so that all API processes count together.

A script of our own rather than a library's: both windows of a key in one call, and a call that goes
with the read of a poll in one round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.api_keys import KeyLimits
from tasks.store.connection import StorePart
from tasks.store.keys import PREFIX
from tasks.store.scripts import source_of

SECOND, MINUTE = 1, 60


@dataclass(frozen=True)
class Window:
    """How many requests there may be in any so many seconds."""

    seconds: int
    most: int


@dataclass(frozen=True)
class Standing:
    """Where a caller stands in one window after a request."""

    window: Window
    left: int
    free_in_seconds: float  # until one more is allowed; 0 while some are left


@dataclass(frozen=True)
class Count:
    """Whether a request is allowed, and where its caller stands."""

    allowed: bool
    standings: tuple[Standing, ...]

    @property
    def tightest(self) -> Standing:
        """The window that has the least left."""
        return min(self.standings, key=lambda it: (it.left / it.window.most, -it.free_in_seconds))

    @property
    def retry_after_seconds(self) -> float:
        """Until the request would be allowed."""
        return max(it.free_in_seconds for it in self.standings)

    @classmethod
    def of(cls, windows: Sequence[Window], answer: Sequence[Any]) -> Count:
        """From the answer of the script."""
        allowed, *rest = (int(number) for number in answer)
        rows = zip(windows, rest[::2], rest[1::2], strict=True)
        standings = tuple(Standing(window, left, wait / 1000) for window, left, wait in rows)
        return cls(bool(allowed), standings)


def windows_of(limits: KeyLimits) -> tuple[Window, ...]:
    """The windows that limit requests; none without such limits."""
    asked = ((SECOND, limits.requests_per_second), (MINUTE, limits.requests_per_minute))
    return tuple(Window(seconds, most) for seconds, most in asked if most)


def command(whose: str, windows: Sequence[Window]) -> tuple[str, ...]:
    """The command that counts a request, for a connection that sends several at once."""
    return ("EVAL", source_of("rate"), "0", PREFIX, *_arguments(whose, windows))


def _arguments(whose: str, windows: Sequence[Window]) -> list[str]:
    return [whose, *(str(part) for it in windows for part in (it.seconds, it.most))]


class Rates(StorePart):
    """Counts requests."""

    def count(self, whose: str, windows: Sequence[Window]) -> Count:
        """Count a request of this caller. Raises StoreUnavailable."""
        return Count.of(windows, self._run("rate", [], *_arguments(whose, windows)))
