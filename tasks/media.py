"""What a media file holds: the facts that a probe finds and that all decisions use."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})  # PQ and HLG


@dataclass(frozen=True, slots=True)
class ColourFacts:
    """The meaning of sample values, in FFmpeg's names; None where the file does not say it."""

    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: str | None = None

    @property
    def hdr(self) -> bool:
        """Whether the picture uses a high-dynamic-range transfer."""
        return self.transfer in HDR_TRANSFERS


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The first real video stream (never a cover picture)."""

    codec: str
    profile: str | None
    width: int  # pixels as stored, before rotation and aspect
    height: int
    pix_fmt: str | None
    bit_depth: int
    fps: float | None  # average; None when the container does not say it
    rotation: int = 0  # degrees by which a player turns the picture clockwise: 0, 90, 180 or 270
    sample_aspect_ratio: str = "1:1"
    interlaced: bool = False
    colour: ColourFacts = ColourFacts()
    frame_count: int | None = None
    references: int | None = None  # pictures that other pictures may refer to; None where unknown
    index: int = 0  # of the stream in its file
    reorders: bool = False  # whether pictures are decoded in another order than they are shown

    @property
    def pixels(self) -> int:
        """Samples in one frame: memory and time grow with this number."""
        return self.width * self.height

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The facts that `asdict` wrote."""
        return cls(**{**values, "colour": ColourFacts(**values["colour"])})


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """One audio stream."""

    codec: str
    sample_rate: int
    channels: int
    language: str | None = None
    index: int = 1  # of the stream in its file
    title: str | None = None
    default: bool = False  # whether the file names it as the one to play


@dataclass(frozen=True, slots=True)
class SubtitleFacts:
    """One subtitle stream: texts, or pictures of texts."""

    codec: str
    index: int  # of the stream in its file
    is_text: bool
    language: str | None = None
    title: str | None = None
    default: bool = False

    def __str__(self) -> str:
        return f"{self.codec} subtitles{f' ({self.language})' if self.language else ''}"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """A probed file: times in seconds, its size, its video, its audio, and what else it holds."""

    container: str  # FFmpeg's format name, such as "mov,mp4,m4a,3gp,3g2,mj2"
    start_time_seconds: float  # the time of the source at which a player shows 0
    duration_seconds: float | None  # None when unknown, as of a stream without an end
    size_bytes: int
    video: VideoFacts | None = None
    audio: tuple[AudioFacts, ...] = ()
    subtitles: tuple[SubtitleFacts, ...] = ()
    chapter_count: int = 0
    undecodable: tuple[str, ...] = ()  # streams that nobody here can decode, as "vvc video"

    @property
    def main_audio(self) -> AudioFacts | None:
        """The track that a player would play: the first default one, else the first."""
        defaults = [track for track in self.audio if track.default]
        return next(iter(defaults or self.audio), None)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form that `from_dict` reads back equal."""
        tracks = {name: list(map(asdict, getattr(self, name))) for name in ("audio", "subtitles")}
        return {**asdict(self), **tracks}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The facts that `to_dict` wrote."""
        video = values["video"]
        return cls(
            **{
                **values,
                "video": VideoFacts.from_dict(video) if video else None,
                "audio": tuple(AudioFacts(**track) for track in values["audio"]),
                "subtitles": tuple(SubtitleFacts(**track) for track in values["subtitles"]),
                "undecodable": tuple(values["undecodable"]),
            }
        )
