"""Imported first by every Python process that has this folder on its path: sets its clock wrong.

CHAOS_CLOCK_OFFSET says by how many seconds. Durations are right all the same, as with a wrong
clock of a real machine; files and sockets have the kernel's time.
"""

from __future__ import annotations

import os
import time

OFFSET = float(os.environ.get("CHAOS_CLOCK_OFFSET", "0"))

_time, _time_ns = time.time, time.time_ns


def _wrong() -> float:
    return _time() + OFFSET


def _wrong_ns() -> int:
    return _time_ns() + int(OFFSET * 1e9)


time.time, time.time_ns = _wrong, _wrong_ns
