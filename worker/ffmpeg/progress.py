"""FFmpeg's reports of its progress on stdout (`-progress pipe:1`), as values."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

_LINE = re.compile(r"(frame|out_time_us|progress)=\s*(\S+)")
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command is. `speed` is media seconds a second; unknown values are None.

    `frames` counts the pictures written; once `finished`, all of them.
    """

    fraction: float
    speed: float | None
    eta_seconds: float | None
    frames: int
    finished: bool = False


class ProgressParser:
    """Collects lines until a report is complete. Never raises: the lines are a tool's output.

    With `wanted_frames` (see `expected_frames`) the pictures are counted; FFmpeg's own clock and
    speed are wrong while the source's time stamps are kept, since it starts at its first report.
    """

    def __init__(
        self,
        wanted_seconds: float,
        wanted_frames: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted_seconds = max(wanted_seconds, 1e-6)
        self._wanted_frames = wanted_frames
        self._clock = clock
        self._began = clock()
        self._done_seconds = 0.0
        self._frames = 0

    def feed(self, line: str) -> Progress | None:
        """Read one line; returns the progress when the line ends a report."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            return None
        name, text = found.groups()
        if name == "progress":
            return self._report(finished=text == "end")
        if re.fullmatch(r"\d{1,18}", text):  # N/A while unknown, negative before the first picture
            self._take(name, int(text))
        return None

    def _take(self, name: str, value: int) -> None:
        if name == "frame":
            self._frames = value
        elif not self._wanted_frames:
            self._done_seconds = max(self._done_seconds, value / MICROSECONDS)

    def _report(self, *, finished: bool) -> Progress:
        done = self._done_seconds
        if self._wanted_frames:
            done = self._wanted_seconds * self._frames / self._wanted_frames
        done = min(done, self._wanted_seconds)
        elapsed = self._clock() - self._began
        speed = done / elapsed if elapsed > 0 and done > 0 else None
        eta_seconds = (self._wanted_seconds - done) / speed if speed else None
        fraction = 1.0 if finished else done / self._wanted_seconds
        return Progress(fraction, speed, eta_seconds, self._frames, finished)
