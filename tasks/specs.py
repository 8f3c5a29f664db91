"""What was asked of a job, with defaults filled in: the parts that all kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

QUALITIES: tuple[str, ...] = (
    "best", "2160p", "1440p", "1080p", "720p", "480p", "360p", "worst", "audio",
)  # fmt: skip
DOWNLOAD_CONTAINERS = ("mp4", "mkv", "webm")  # of pictures and sound
DOWNLOAD_SOUND_CONTAINERS = ("m4a", "mp3", "opus", "flac", "wav")  # of quality "audio"
CLIP_MODES = ("auto", "copy", "smart", "encode")
CLIP_CONTAINERS = ("mp4", "mkv", "webm", "gif", "m4a", "mp3")
SOUND_CONTAINERS = ("m4a", "mp3")  # the clip containers that hold no picture
FITS = ("contain", "cover", "pad")
CLIP_QUALITIES = ("draft", "standard", "high")
AUDIO_CHOICES = ("keep", "drop")
SUBTITLE_CHOICES = ("keep", "drop", "burn")


@dataclass(frozen=True)
class Source:
    """Where media comes from; exactly one of the three fields is set."""

    url: str | None = None
    job_id: str | None = None
    upload_id: str | None = None

    def to_dict(self) -> dict[str, str]:
        """The field that is set, by its name."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Spec:
    """The fields of every kind's spec. The specs of the kinds are in `tasks.kinds`."""

    kind: ClassVar[str]
    source: Source

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources of the job; a kind with several sources lists them here."""
        return (self.source,)

    def fingerprint(self, owner: str) -> str | None:
        """Equal for jobs of one owner that would do the same work; None where each job runs."""
        return None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` wrote."""
        return cls(**{**values, "source": Source(**values["source"])})

    def to_dict(self) -> dict[str, Any]:
        """The spec as it is stored and shown."""
        return {**vars(self), "source": self.source.to_dict()}


@dataclass(frozen=True)
class Output:
    """What a clip shall be; None means as in the source.

    `audio_track` is the number of a sound track, counted from 0, its language, or "all".
    """

    container: str | None = None
    width: int | None = None
    height: int | None = None
    fit: str = "contain"
    fps: float | None = None
    quality: str = "standard"
    audio: str = "keep"
    audio_track: int | str | None = None
    subtitles: str = "keep"
    thumbnail: bool = False
    filename: str | None = None

    @property
    def changes_picture(self) -> bool:
        """Whether the frames themselves must change, so that none can be copied."""
        changes = (self.width, self.height, self.fps)
        return self.subtitles == "burn" or any(value is not None for value in changes)
