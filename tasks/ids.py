"""Ids that sort by creation time: 48 bits of milliseconds, then 80 random bits, in base 32."""

from __future__ import annotations

import re
import secrets
import threading
import time

# Crockford's alphabet in small letters: its order is the order of the values.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26
_PATTERN = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}")


class IdMaker:
    """Makes ids that grow strictly within one process, so that a batch keeps its order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        fresh = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(79)
        with self._lock:
            self._last = max(fresh, self._last + 1)
            return _encode(self._last)


def _encode(number: int) -> str:
    digits = [_ALPHABET[number >> shift & 31] for shift in range(0, _LENGTH * 5, 5)]
    return "".join(reversed(digits))


def is_id(text: str) -> bool:
    """Whether the text has the form of an id; another text cannot name a job or artifact."""
    return _PATTERN.fullmatch(text) is not None
