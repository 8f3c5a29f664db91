"""When a failed message is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tasks.outbox.deliveries import Became, Delivery

MINUTE, HOUR = 60.0, 3600.0
# After the first try, the second, and so on: thirteen tries, and then 24 hours are over.
DELAYS = (
    5.0, 30.0, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR,
    6 * HOUR, 7 * HOUR,
)  # fmt: skip
GIVE_UP_SECONDS = 24 * HOUR
JITTER = 0.1  # of a delay, in either direction: what failed together must not come back together
LONGEST_PAUSE = MINUTE  # of an endpoint that failed several times in a row
LONGEST_RETRY_AFTER = 6 * HOUR
GONE = 410
_SLOW_DOWN = {429, 502, 503, 504}
_SLOW_SECONDS = 30.0
MOST_TRIES_SHOWN = 20


@dataclass(frozen=True)
class Answer:
    """How a try ended: the status of the answer, or why there was none."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint has the message."""
        return self.status is not None and 200 <= self.status < 300

    def to_dict(self, at: float) -> dict[str, Any]:
        """For the list of tries."""
        found = {"at": at, "status": self.status, "error": self.error}
        known = {name: value for name, value in found.items() if value is not None}
        return {**known, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Verdict:
    """What becomes of a message after a try, and how long its endpoint gets no other."""

    became: Became
    again_in: float = 0.0
    pause: float = 0.0


def verdict(delivery: Delivery, answer: Answer, now: float) -> Verdict:
    """What follows from an answer; `now` is the time of the store's clock."""
    if answer.succeeded:
        return Verdict("delivered")
    if answer.status == GONE:
        return Verdict("gone")
    asked = min(answer.retry_after or 0.0, LONGEST_RETRY_AFTER)
    slow = _SLOW_SECONDS if answer.status in _SLOW_DOWN else 0.0
    again_in = max(_delay(delivery.attempts), asked)
    pause = max(min(2.0 ** min(delivery.attempts, 10), LONGEST_PAUSE), slow, asked)
    if delivery.attempts >= len(DELAYS) or now + again_in > delivery.since + GIVE_UP_SECONDS:
        return Verdict("failed", pause=pause)
    return Verdict("again", again_in, pause)


def _delay(attempts: int) -> float:
    delay = DELAYS[min(attempts, len(DELAYS) - 1)]
    return delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads load, no secret
