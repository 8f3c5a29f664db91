"""When a failed attempt is retried. Pure."""

from __future__ import annotations

import random

from config.timings import PRODUCTION, Timings
from tasks.errors import JobError, SiteThrottled


def delay_before_retry(
    error: JobError, attempt: int, max_attempts: int, timings: Timings = PRODUCTION
) -> float | None:
    """Seconds to wait after attempt number `attempt` failed; None when it was the last.

    Doubles with each attempt. The jitter keeps jobs that failed together from coming back together.
    """
    if not error.retryable or attempt >= max_attempts:
        return None
    throttled = isinstance(error, SiteThrottled)
    first = timings.throttled_retry_seconds if throttled else timings.first_retry_seconds
    delay = min(first * 2.0 ** max(0, attempt - 1), timings.longest_retry_seconds)
    return delay * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
