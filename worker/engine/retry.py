"""When a failed attempt is tried again. Pure."""

from __future__ import annotations

import random

from tasks.errors import JobError, SiteThrottled

FIRST_DELAY_SECONDS = 2.0
THROTTLED_DELAY_SECONDS = 30.0
LONGEST_DELAY_SECONDS = 900.0


def delay_before_retry(error: JobError, attempt: int, max_attempts: int) -> float | None:
    """Seconds to wait after attempt number `attempt` failed; None when it was the last.

    Doubles with each attempt. The jitter keeps jobs that failed together from coming back so.
    """
    if not error.retryable or attempt >= max_attempts:
        return None
    first = THROTTLED_DELAY_SECONDS if isinstance(error, SiteThrottled) else FIRST_DELAY_SECONDS
    delay = min(first * 2.0 ** max(0, attempt - 1), LONGEST_DELAY_SECONDS)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
