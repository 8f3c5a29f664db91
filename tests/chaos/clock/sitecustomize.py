"""Imported first by every Python process that has this folder on its path: sets its clock wrong.

CHAOS_CLOCK is three numbers of seconds: how wrong the clock is, after how long it jumps, and by how
much. Durations are right all the same, as with a wrong clock of a real machine; files and sockets
have the kernel's time.
"""

from __future__ import annotations

import os
import time

OFFSET, JUMPS_AFTER, JUMP = map(float, os.environ.get("CHAOS_CLOCK", "0 0 0").split())

_time, _time_ns, _begun = time.time, time.time_ns, time.monotonic()


def _error() -> float:
    return OFFSET + JUMP * (time.monotonic() - _begun > JUMPS_AFTER)


def _wrong() -> float:
    return _time() + _error()


def _wrong_ns() -> int:
    return _time_ns() + int(_error() * 1e9)


time.time, time.time_ns = _wrong, _wrong_ns
