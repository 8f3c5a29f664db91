"""What was asked: one frozen value a kind, as accepted, with defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

Quality = Literal[
    "best", "2160p", "1440p", "1080p", "720p", "480p", "360p", "worst", "audio"
]  # fmt: skip
QUALITIES: tuple[str, ...] = (
    "best", "2160p", "1440p", "1080p", "720p", "480p", "360p", "worst", "audio",
)  # fmt: skip
DOWNLOAD_CONTAINERS = ("mp4", "mkv", "webm")
CLIP_MODES = ("auto", "copy", "smart", "encode")
CLIP_CONTAINERS = ("mp4", "mkv", "webm", "gif", "m4a", "mp3")
FITS = ("contain", "cover", "pad")
CLIP_QUALITIES = ("draft", "standard", "high")
AUDIO_CHOICES = ("keep", "drop")


@dataclass(frozen=True)
class Source:
    """Where media comes from; exactly one of the three is set."""

    url: str | None = None
    job_id: str | None = None
    upload_id: str | None = None

    def to_dict(self) -> dict[str, str]:
        """The one that is set, by its name."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class ExtractSpec:
    """Read a page's metadata; `playlist_items` is how many entries of a playlist to list."""

    kind: ClassVar[str] = "extract"
    source: Source
    playlist_items: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec that `spec_to_dict` wrote."""
        return cls(**{**values, "source": Source(**values["source"])})


@dataclass(frozen=True)
class DownloadSpec:
    """Fetch the media behind a URL as one file."""

    kind: ClassVar[str] = "download"
    source: Source
    quality: str = "best"
    container: str = "mp4"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec that `spec_to_dict` wrote."""
        return cls(**{**values, "source": Source(**values["source"])})


@dataclass(frozen=True)
class Output:
    """How a clip shall look; None means as the source has it."""

    container: str | None = None
    width: int | None = None
    height: int | None = None
    fit: str = "contain"
    fps: float | None = None
    quality: str = "standard"
    audio: str = "keep"
    thumbnail: bool = False
    filename: str | None = None

    @property
    def changes_picture(self) -> bool:
        """Whether the frames themselves must change, so that none can be copied."""
        return any(value is not None for value in (self.width, self.height, self.fps))


@dataclass(frozen=True)
class ClipSpec:
    """Keep the range from `start` to `end`, in seconds from where a player starts to count."""

    kind: ClassVar[str] = "clip"
    source: Source
    start: float
    end: float
    mode: str = "auto"
    output: Output = field(default_factory=Output)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec that `spec_to_dict` wrote."""
        return cls(
            **{
                **values,
                "source": Source(**values["source"]),
                "output": Output(**values.get("output", {})),
            }
        )


Spec = ExtractSpec | DownloadSpec | ClipSpec


def spec_to_dict(spec: Spec) -> dict[str, Any]:
    """The spec as it is stored and shown; what is unset is left out of `source` and `output`."""
    values = {**vars(spec), "source": spec.source.to_dict()}
    if isinstance(spec, ClipSpec):
        output = vars(spec.output).items()
        values["output"] = {key: value for key, value in output if value is not None}
    return values
