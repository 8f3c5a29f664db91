"""Refuses callers that send more requests than their keys may, and tells all where they stand.

Both forms of headers: the present draft (`RateLimit`, `RateLimit-Policy`) and the older names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Any

from tasks.access.rates import MINUTE, Count, Rates, windows_of
from web.http.auth import Caller
from web.http.errors import RateLimited

# In a WSGI environment: the count of this request, made once, wherever it is answered.
COUNT = "clipmill.count"
_NAMES = {1: "second", MINUTE: "minute"}


def count_request(rates: Rates, caller: Caller, environ: MutableMapping[str, Any]) -> None:
    """Count a request that was not counted yet. Raises RateLimited or StoreUnavailable."""
    windows = windows_of(caller.limits)
    if not windows or COUNT in environ:
        return
    keep_count(environ, rates.count(caller.name, windows))


def keep_count(environ: MutableMapping[str, Any], count: Count) -> None:
    """Remember a count for the headers of the answer. Raises RateLimited."""
    environ[COUNT] = count
    if not count.allowed:
        seconds = max(1, math.ceil(count.retry_after_seconds))
        raise RateLimited(f"too many requests of this key: try again in {seconds} s", seconds)


def rate_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """The headers that say where the caller stands; none without a limit."""
    count: Count | None = environ.get(COUNT)
    if count is None:
        return {}
    policies = ", ".join(
        f'"{_NAMES[it.window.seconds]}";q={it.window.most};w={it.window.seconds}'
        for it in count.standings
    )
    tightest = count.tightest
    reset = max(1, math.ceil(tightest.free_in_seconds or tightest.window.seconds))
    old = {"Limit": tightest.window.most, "Remaining": tightest.left, "Reset": reset}
    return {
        "RateLimit-Policy": policies,
        "RateLimit": f'"{_NAMES[tightest.window.seconds]}";r={tightest.left};t={reset}',
        **{
            f"{prefix}RateLimit-{name}": str(it)
            for prefix in ("", "X-")
            for name, it in old.items()
        },
    }
