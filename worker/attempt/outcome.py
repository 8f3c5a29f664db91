"""The outcome of an attempt: its result, and the files to publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.media import MediaFacts
from tasks.result import Result


@dataclass(frozen=True)
class ProducedFile:
    """A file to publish. A client sees `name`; its suffix stands for the media type."""

    path: Path
    role: str
    name: str
    facts: MediaFacts | None = None


@dataclass(frozen=True)
class Outcome:
    """A result, which has no artifacts yet, and the files to publish with it."""

    result: Result
    files: Sequence[ProducedFile] = ()
