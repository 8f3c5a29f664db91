"""The lines that yt-dlp prints while it runs: progress, and a few that end the run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tasks.errors import TooLarge, TooLong, Unavailable
from worker.ytdlp.command import PROGRESS
from worker.ytdlp.info import number

OnProgress = Callable[[float | None, float | None, float | None], None]

MAX_REDIRECTS = 20
PICTURES_PART = 0.9  # of pictures and sound in two files, the pictures are nearly everything


class OutputReader:
    """Reads the output line by line, and reports progress as numbers that never fall."""

    def __init__(self, on_progress: OnProgress | None = None) -> None:
        self._on_progress = on_progress
        self._redirects = 0
        self._files = 1
        self._seen: list[str] = []
        self._fraction: float | None = None

    def __call__(self, line: str) -> None:
        """Read one line. Raises a JobError for a line that means one."""
        if line.startswith(PROGRESS):
            self._progress(line.removeprefix(PROGRESS))
        elif line.startswith("[redirect] Following redirect"):
            self._redirect()
        elif match := re.search(r": Downloading \d+ format\(s\): (\S+)$", line):
            self._files = match[1].count("+") + 1
        elif "[download] File is larger than max-filesize" in line:  # the exit status would be 0
            raise TooLarge("the source is larger than allowed")
        elif "does not pass filter (!is_live & duration<=?" in line:  # the exit status would be 0
            raise TooLong("the source is live or longer than allowed")

    def _redirect(self) -> None:
        """Count a redirect: a server can redirect for ever, because yt-dlp follows each one."""
        self._redirects += 1
        if self._redirects > MAX_REDIRECTS:
            raise Unavailable("the source redirects without end")

    def _progress(self, text: str) -> None:
        told = _mapping(text)
        if self._on_progress is None or told is None:
            return
        filename = str(told.get("filename"))
        if filename not in self._seen and len(self._seen) < self._files:
            self._seen.append(filename)
        self._advance(_part_of(told))
        speed, eta = number(told.get("speed")), number(told.get("eta"))
        self._on_progress(self._fraction, speed, eta)

    def _advance(self, part: float | None) -> None:
        if part is None:
            return
        first = PICTURES_PART if self._files > 1 else 1.0
        each_later = (1 - first) / max(1, self._files - 1)
        later = len(self._seen) - 2  # files that are done, beside the first
        done = part * first if later < 0 else first + each_later * (later + part)
        self._fraction = max(self._fraction or 0.0, min(1.0, done))


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None  # a line that is cut short, or imitated by a title: only progress is lost
    return told if isinstance(told, dict) else None


def _part_of(told: dict[str, Any]) -> float | None:
    """The share of one file that is done; pieces show it better than a guessed number of bytes."""
    if told.get("status") == "finished":
        return 1.0
    for done, whole in (("fragment_index", "fragment_count"), ("downloaded_bytes", "total_bytes")):
        some, total = number(told.get(done)), number(told.get(whole))
        if some is not None and total:
            return min(1.0, some / total)
    return None
