"""What an owner has used today, and when its key was last used. A day is one of UTC.

The bytes and media seconds of a job are counted with its success, so what is queued or runs when
the limit is reached still ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from config.api_keys import KeyLimits
from tasks.errors import QuotaExceeded
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Used:
    """What was used today, and how many seconds of the day are left."""

    bytes: int
    media_seconds: float
    day_left_seconds: float

    def check(self, limits: KeyLimits, more_bytes: int = 0, more_seconds: float = 0.0) -> None:
        """Raises QuotaExceeded when this much more is not allowed today."""
        limited = (
            ("bytes", self.bytes, more_bytes, limits.bytes_per_day),
            ("media seconds", self.media_seconds, more_seconds, limits.media_seconds_per_day),
        )
        for what, used, more, most in limited:
            if most is not None and (used >= most or used + more > most):
                raise QuotaExceeded(
                    f"this key may use {most:g} {what} a day and has used {used:g}: "
                    "the count begins anew at midnight UTC",
                    int(self.day_left_seconds) + 1,
                )


class Use(StorePart):
    """Reads and notes what keys use. The script that writes jobs counts."""

    def today(self, owner: str) -> Used:
        """What this owner has used. Raises StoreUnavailable."""
        with translated():
            now = self._redis.time()[0]
            day = now // DAY_SECONDS
            got = self._redis.hmget(key("use", owner, str(day)), "bytes", "seconds")
        left = (day + 1) * DAY_SECONDS - now
        return Used(int(float(got[0] or 0)), float(got[1] or 0), left)

    def note_keys(self, last_used: Mapping[str, float]) -> None:
        """Record when keys were last used, by name, in seconds since 1970."""
        if last_used:
            with translated():
                self._redis.zadd(key("keys_used"), dict(last_used), gt=True)

    def last_used(self) -> dict[str, float]:
        """When each key was last used, to some seconds."""
        with translated():
            found = self._redis.zrange(key("keys_used"), 0, -1, withscores=True)
        return {name.decode(): at for name, at in found}
