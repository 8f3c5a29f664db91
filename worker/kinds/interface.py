"""What a kind of job may ask of the machine that runs it, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tasks.kinds import ClipSpec, DownloadSpec
from tasks.media import MediaFacts
from tasks.result import Result
from worker.cutting import Cut


@dataclass(frozen=True)
class Fetched:
    """A downloaded file, what it holds, and what its site says of it (the contract's `info`)."""

    path: Path
    facts: MediaFacts
    info: Mapping[str, Any]
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class SourceMedia:
    """The file that a clip is cut from."""

    path: Path
    facts: MediaFacts
    title: str


@dataclass(frozen=True)
class ProducedFile:
    """A file to publish. `name` is what a client sees; its suffix says what it is."""

    path: Path
    role: str
    name: str
    facts: MediaFacts | None = None


@dataclass(frozen=True)
class Outcome:
    """What a job produced: its result, which has no artifacts yet, and the files to publish."""

    result: Result
    files: Sequence[ProducedFile] = ()


class Machine(Protocol):
    """The tools of one attempt of one job. Every call raises a JobError when the tool fails."""

    def extract(self, url: str, playlist_items: int) -> Mapping[str, Any]:
        """The contract's `info` of a page."""

    def download(self, spec: DownloadSpec) -> Fetched:
        """Fetch the media of a page, and see that it is media and not too long."""

    def source(self) -> AbstractContextManager[SourceMedia]:
        """The file that the job's source delivered, for the block."""

    def cut(self, spec: ClipSpec, source: SourceMedia) -> Cut:
        """Cut a range out of a file and check the result."""

    def thumbnail(self, cut: Cut) -> Path:
        """A small picture of the middle of a clip."""
