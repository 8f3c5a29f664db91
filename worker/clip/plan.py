"""One clip to make, and what its source allows."""

from dataclasses import dataclass, replace
from math import floor
from pathlib import Path
from typing import Self

from tasks.media import MediaFacts
from tasks.specs import Output

GRACE_SECONDS = 0.0005  # half a millisecond: Matroska rounds its time stamps to that
AUDIO_CONTAINERS = frozenset({"m4a", "mp3"})

# How long before the start decoding begins. Half a second covers what sound decoders need and
# B-frames at the start; a container without an index seeks to anywhere, so there it must be
# longer than a group of pictures.
PREROLL_SECONDS = 0.5
LONG_PREROLL_SECONDS = 12.0
UNINDEXED = frozenset({"mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc", "dv"})
UNTIMED = frozenset({"avi"})  # its frames have no time of showing, and every reader guesses its own

# Which codecs each container takes as they are; None is whatever Matroska knows: everything here.
_COPIES: dict[str, tuple[frozenset[str] | None, frozenset[str] | None]] = {
    "mp4": (
        frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"}),
        frozenset({"aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"}),
    ),
    "mkv": (None, None),
    "webm": (frozenset({"vp8", "vp9", "av1"}), frozenset({"opus", "vorbis"})),
    "m4a": (frozenset(), frozenset({"aac", "alac"})),
    "mp3": (frozenset(), frozenset({"mp3"})),
    "gif": (frozenset(), frozenset()),
}


@dataclass(frozen=True)
class CutPlan:
    """Keep `start` to `end` (seconds from the container's start time) of a probed file.

    `container` is the one to write, whatever `output.container` says; `threads` is for the decoder
    and the encoder each; `lean` steps of its settings save memory; `preroll_seconds` overrides how
    long before `start` decoding begins.
    """

    source: Path
    target: Path
    start: float
    end: float
    facts: MediaFacts
    output: Output
    container: str
    threads: int = 1
    lean: int = 0
    preroll_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return self.end - self.start

    @property
    def seek_seconds(self) -> float:
        """Where reading begins, counted as `start` is; never before zero."""
        preroll = self.preroll_seconds
        return max(0.0, self.start - (preroll_of(self.facts) if preroll is None else preroll))

    @property
    def keeps_picture(self) -> bool:
        """Whether the clip has pictures at all."""
        return self.container not in AUDIO_CONTAINERS

    @property
    def keeps_sound(self) -> bool:
        """Whether the clip has sound: the source does, and nobody wants it away."""
        if self.container in AUDIO_CONTAINERS:
            return True
        return bool(self.facts.audio) and self.output.audio == "keep" and self.container != "gif"

    def at(self, seconds: float) -> float:
        """A time of the clip's source as its own time stamps count it."""
        return self.facts.start_time_seconds + seconds

    def with_output(self, **changes: object) -> Self:
        """The same clip with other wishes for the picture."""
        return replace(self, output=replace(self.output, **changes))  # type: ignore[arg-type]


def preroll_of(facts: MediaFacts) -> float:
    """Seconds before the start at which decoding must begin so that no wanted frame is lost."""
    return LONG_PREROLL_SECONDS if _unindexed(facts) else PREROLL_SECONDS


def needs_exact_decoder(facts: MediaFacts) -> bool:
    """Whether the PyAV program should make this source's clips where it can.

    A seek may land where decoding cannot begin: FFmpeg's command line loses frames if no key
    picture lies in the long pre-roll, and it cannot go back. Or frames have no times of their own:
    then the program's guess is one frame beside FFmpeg's, and all clips should follow one guess.
    """
    return facts.video is not None and (_unindexed(facts) or _one_of(UNTIMED, facts))


def _unindexed(facts: MediaFacts) -> bool:
    return _one_of(UNINDEXED, facts)


def _one_of(names: frozenset[str], facts: MediaFacts) -> bool:
    return not names.isdisjoint(facts.container.split(","))


def expected_frames(plan: CutPlan) -> int | None:
    """How many pictures the clip gets by the source's average rate; None when unknown."""
    video = plan.facts.video
    rate = plan.output.fps or (video.fps if video else None)
    if video is None or rate is None or not plan.keeps_picture or plan.container == "gif":
        return None  # a GIF has its own rate
    end = min(plan.end, plan.facts.duration_seconds or plan.end)
    return floor((end - plan.start) * rate)


def lost_frames(plan: CutPlan, frames: int) -> bool:
    """Whether an encode delivered clearly fewer frames than `expected_frames`.

    That happens where pictures are refreshed bit by bit instead of by key pictures: FFmpeg keeps
    back what it cannot show whole. A source of varying rate may be suspected wrongly.
    """
    expected = expected_frames(plan)
    return expected is not None and frames < expected - 1


def with_longer_preroll(plan: CutPlan) -> CutPlan | None:
    """The plan that decodes from further back; None when it does already."""
    if plan.seek_seconds <= max(0.0, plan.start - LONG_PREROLL_SECONDS):
        return None
    return replace(plan, preroll_seconds=LONG_PREROLL_SECONDS)


def can_copy(facts: MediaFacts, container: str) -> bool:
    """Whether `copy_argv` may put the streams a clip keeps into the container.

    Not from a container without an index, even where the codecs fit: the seek misses the key
    picture, and a clip with sound alone comes out.
    """
    if facts.video is not None and _unindexed(facts):
        return False
    video_codecs, audio_codecs = _COPIES[container]
    if container in AUDIO_CONTAINERS:
        return bool(facts.audio) and _takes(audio_codecs, facts.audio[0].codec)
    if facts.video is None or not _takes(video_codecs, facts.video.codec):
        return False
    return not facts.audio or _takes(audio_codecs, facts.audio[0].codec)


def _takes(codecs: frozenset[str] | None, codec: str) -> bool:
    return codecs is None or codec in codecs
