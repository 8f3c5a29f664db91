"""The protocol of the PyAV programs: one JSON spec in, JSON lines out. `serving` has the other end.

stdout carries `{"progress": 0.42, "speed": 3.1}` now and then, and last exactly one of
`{"result": {...}}` and `{"error": {"code": ..., "message": ...}}`, both with exit status 0.
Any other end (no last line, another status) is a crash of the program.
"""

import errno
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PROGRESS_PERIOD_SECONDS = 0.25
FULL_DISK = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
# Shortages that another strategy for the same clip would meet as well; EAGAIN is of threads.
SHORTAGES = FULL_DISK | {errno.ENOMEM, errno.EAGAIN}


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a program: a share from 0 to 1, and media seconds done in each second."""

    progress: float
    speed: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """The program did what its spec asks."""

    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The program cannot do what its spec asks; `code` is a job error code."""

    code: str
    message: str


Line = Progress | Result | Refusal


def encode_spec(spec: Mapping[str, Any]) -> str:
    """The single argument of a PyAV program."""
    return json.dumps(spec, separators=(",", ":"))


def parse_line(line: str) -> Line | None:
    """One line of a program's stdout; None for anything the protocol does not know."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    match values:
        case {"result": dict(result)}:
            return Result(result)
        case {"error": {"code": str(code), "message": str(message)}}:
            return Refusal(code, message)
        case {"progress": int() | float() as progress}:
            return Progress(float(progress), values.get("speed"))
    return None


class ProgressReporter:
    """Writes progress lines, at most four a second; `total_seconds` of media make 1.0."""

    def __init__(self, total_seconds: float, write: Callable[[Mapping[str, Any]], None]) -> None:
        self._total_seconds = max(total_seconds, 1e-6)
        self._write = write
        self._began = time.monotonic()
        self._last = self._began

    def at(self, done_seconds: float) -> None:
        """Report that `done_seconds` of the range are done."""
        now = time.monotonic()
        if now - self._last < PROGRESS_PERIOD_SECONDS:
            return
        self._last = now
        share = min(1.0, max(0.0, done_seconds / self._total_seconds))
        speed = max(0.0, done_seconds) / (now - self._began)
        self._write({"progress": round(share, 4), "speed": round(speed, 2)})


def write_line(values: Mapping[str, Any]) -> None:
    """Write one JSON line to stdout at once."""
    sys.stdout.write(json.dumps(values, separators=(",", ":")) + "\n")
    sys.stdout.flush()
