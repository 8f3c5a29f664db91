"""The kinds of job: the spec and the result of each, and a row with what other code must know.

A new kind needs a spec, a result and a row here, a file of its name in `worker/kinds/`, and a
schema in `web/schemas/requests.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, ClassVar, Self
from urllib.parse import urldefrag

from tasks.result import Result, known
from tasks.specs import Output, Source, Spec


@dataclass(frozen=True)
class ExtractSpec(Spec):
    """Read a page's metadata; `playlist_items` is how many entries of a playlist to list."""

    kind: ClassVar[str] = "extract"
    playlist_items: int = 0


@dataclass(frozen=True, kw_only=True)
class ExtractResult(Result):
    """What a page says about its media; `info` has the fields that the contract lists."""

    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DownloadSpec(Spec):
    """Fetch the media behind a URL as one file; without a container, as the site delivers it."""

    kind: ClassVar[str] = "download"
    quality: str = "best"
    container: str | None = None

    def fingerprint(self, owner: str) -> str:
        """Equal for downloads of one owner that would fetch the same file; owners never share."""
        url, _ = urldefrag(self.source.url or "")
        parts = "\0".join((owner, url, self.quality, self.container or ""))
        return sha256(parts.encode()).hexdigest()


@dataclass(frozen=True)
class Origin:
    """Where a download came from, as its page says; None where the page does not say it."""

    title: str | None = None
    uploader: str | None = None
    duration_seconds: float | None = None
    webpage_url: str | None = None
    extractor: str | None = None


@dataclass(frozen=True, kw_only=True)
class DownloadResult(Result):
    """One file; `deduplicated` is true when the file was fetched for an earlier job."""

    source: Origin = Origin()
    deduplicated: bool = False

    def reused(self) -> Self:
        """The result of an equal job, which had nothing to fetch."""
        return replace(super().reused(), deduplicated=True)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**super().to_dict(), "source": {**vars(self.source)}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The result that `to_dict` wrote."""
        return super().from_dict({**values, "source": known(Origin, values["source"])})


@dataclass(frozen=True)
class UploadSpec(Spec):
    """Check a file that a client has sent, and keep it; the source names the job itself."""

    kind: ClassVar[str] = "upload"
    filename: str
    size_bytes: int
    sha256: str

    @property
    def sources(self) -> tuple[Source, ...]:
        """None that another job delivers."""
        return ()

    def fingerprint(self, owner: str) -> str:
        """Equal for files of one owner that hold the same bytes."""
        return sha256(f"{owner}\0upload\0{self.sha256}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class UploadResult(Result):
    """One file."""


@dataclass(frozen=True)
class ClipSpec(Spec):
    """Keep the range from `start` to `end`, in seconds of the time that a player shows.

    An `end` of None is the end of the media.
    """

    kind: ClassVar[str] = "clip"
    start: float
    end: float | None
    mode: str = "auto"
    output: Output = field(default_factory=Output)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` wrote."""
        return super().from_dict({**values, "output": Output(**values.get("output", {}))})

    def to_dict(self) -> dict[str, Any]:
        """The spec as it is stored and shown; `output` leaves out the options that are unset."""
        output = {name: value for name, value in vars(self.output).items() if value is not None}
        return {**super().to_dict(), "output": output}


@dataclass(frozen=True)
class Verification:
    """What was found when the finished clip was compared with its source.

    `worst_psnr` is of the encoded pictures that were compared, in dB of luma, 320 pixels wide;
    None where all were the source's own. `source_errors` counts damaged pictures of the source.
    """

    frames_expected: int
    frames_found: int
    frames_compared: int
    worst_psnr: float | None = None
    audio_offset_ms: float | None = None
    source_errors: int = 0


@dataclass(frozen=True, kw_only=True)
class ClipResult(Result):
    """How a clip was cut, why so, and what it holds. Times count as in `ClipSpec`."""

    mode: str
    mode_reason: str
    requested_start: float
    requested_end: float
    actual_start: float
    actual_end: float
    frames: int
    frames_encoded: int
    frames_copied: int
    verification: Verification

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**super().to_dict(), "verification": {**vars(self.verification)}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The result that `to_dict` wrote."""
        verification = known(Verification, values["verification"])
        return super().from_dict({**values, "verification": verification})


@dataclass(frozen=True)
class Kind:
    """What web, tasks and worker must know of one kind of job."""

    spec_type: type[Spec]
    result_type: type[Result]
    phases: tuple[str, ...]  # of its attempts, in order, before they store their files
    gives_media: bool  # other jobs may take its main artifact as their source
    reads_site: bool  # its attempts request the URL; else another job delivers the file
    cached: bool  # an equal job gets the artifacts of the first
    asked_for: bool = True  # clients submit such jobs; else they come from another call

    @property
    def name(self) -> str:
        """Its name in URLs, queues, metrics and files."""
        return self.spec_type.kind


_ROWS = (
    Kind(
        ExtractSpec,
        ExtractResult,
        phases=("extracting",),
        gives_media=False,
        reads_site=True,
        cached=False,
    ),
    Kind(
        DownloadSpec,
        DownloadResult,
        phases=("downloading",),
        gives_media=True,
        reads_site=True,
        cached=True,
    ),
    Kind(
        ClipSpec,
        ClipResult,
        phases=("cutting", "encoding"),
        gives_media=True,
        reads_site=False,
        cached=True,
    ),
    Kind(
        UploadSpec,
        UploadResult,
        phases=("checking",),
        gives_media=True,
        reads_site=False,
        cached=True,
        asked_for=False,
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ROWS}
