"""One clip to make, decided once: what is estimated, reserved and run reads this plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from tasks.errors import NoSuchStream, RangeOutsideMedia
from tasks.media import AudioFacts, MediaFacts, SubtitleFacts
from tasks.specs import Output
from worker.clip.containers import (
    CONTAINERS,
    intermediate_of,
    is_sound_alone,
)
from worker.clip.seeking import LONG_PREROLL_SECONDS, preroll_of
from worker.clip.strategy import (
    JOINED_CODECS,
    Mode,
    Strategy,
    Tool,
    choose_container,
    choose_strategy,
)
from worker.clip.tracks import kept_sounds, kept_subtitles, lost_tracks, text_to_burn

if TYPE_CHECKING:  # the PyAV programs import this file, and the imports of a spec take 3 MiB
    from tasks.kinds import ClipSpec

GRACE_SECONDS = 0.0005  # half a millisecond: Matroska rounds its time stamps to that
USUAL_OVERLAPS = 3  # packets of sound, where broadcasts were joined
STILL_SECONDS = 0.1  # a picture shown for longer is a still: a clip may begin or end inside it
# An end that is so little past the media's end is only rounding.
CLAMP_TOLERANCE_SECONDS = 0.25


@dataclass(frozen=True)
class Pictures:
    """The pictures of a range, as its source's packets tell.

    `first` and `zero` are times of the source: when the first picture begins, which may be before
    the range, and the moment that becomes the clip's zero. `last` and `end` are times of the clip:
    when the last picture begins and ends. All in seconds. `trouble` is what in the packets keeps
    FFmpeg's command from finding its way, None for most sources. `overlaps` is how many packets of
    sound begin before the one before them has ended.
    """

    count: int
    first: float
    zero: float
    last: float
    end: float
    trouble: str | None = None
    overlaps: int = 0


@dataclass(frozen=True)
class ClipPlan:
    """Keep `start` to `end` (seconds from the container's start time) of a probed source.

    `end` is at most the media's own; `asked_end` is the client's. `container` is the container to
    write, whatever `output.container` says. The last four say how the clip is made, see `tuned`
    and `showing`: `threads` is for the decoder and the encoder each, `memory_saving_level` counts
    the steps away from the usual settings, `preroll_seconds` overrides how long before the first
    picture decoding begins, `pictures` is what was found in the range, for FFmpeg's command.
    """

    facts: MediaFacts
    output: Output
    strategy: Strategy
    container: str
    start: float
    end: float
    asked_end: float
    warnings: tuple[str, ...] = ()
    threads: int = 1
    memory_saving_level: int = 0
    preroll_seconds: float | None = None
    pictures: Pictures | None = None

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return self.end - self.start

    @property
    def seek_seconds(self) -> float:
        """Where reading begins, in the same time as `start`; never before zero."""
        preroll = self.preroll_seconds
        return max(0.0, self.first - (preroll_of(self.facts) if preroll is None else preroll))

    @property
    def first(self) -> float:
        """When the first picture begins, in the same time as `start`."""
        return self.start if self.pictures is None else min(self.start, self.pictures.first)

    @property
    def keeps_picture(self) -> bool:
        """Whether the clip has pictures."""
        return self.facts.video is not None and not is_sound_alone(self.container)

    @property
    def keeps_sound(self) -> bool:
        """Whether the clip has sound: the source has, and the output keeps it."""
        if is_sound_alone(self.container):
            return True
        return bool(self.facts.audio) and self.output.audio == "keep" and self.container != "gif"

    @property
    def sounds(self) -> tuple[AudioFacts, ...]:
        """The sound tracks that the clip gets."""
        if not self.keeps_sound:
            return ()
        copied = self.strategy.mode is Mode.COPY
        return kept_sounds(self.facts, self.container, self.output, copied=copied)

    @property
    def subtitles(self) -> tuple[SubtitleFacts, ...]:
        """The subtitles that the clip gets, beside its pictures."""
        if not self.keeps_picture:
            return ()
        return kept_subtitles(self.facts, self.container, self.output)

    @property
    def muxer(self) -> str | None:
        """What PyAV writes instead of the container, for FFmpeg to move; None: the container."""
        if self.strategy.mode is not Mode.COPY:
            return None
        return intermediate_of(self.container, self.facts)

    @property
    def has_side_tracks(self) -> bool:
        """Whether the clip may get subtitles or chapters."""
        chapters = CONTAINERS[self.container].chapters and self.facts.chapter_count
        return bool(self.subtitles or chapters)

    @property
    def copies_pictures(self) -> bool:
        """Whether most pictures will not be encoded, so that settings matter only for the edges.

        False for HEVC: a smart cut of it is tried, and hardly ever possible.
        """
        if self.strategy.mode is Mode.ENCODE or not self.keeps_picture:
            return False
        assert self.facts.video is not None
        return self.strategy.mode is Mode.COPY or self.facts.video.codec in JOINED_CODECS

    def at(self, seconds: float) -> float:
        """A time of the clip's source as its own time stamps count it."""
        return self.facts.start_time_seconds + seconds

    def with_output(self, **changes: object) -> Self:
        """The same clip with another output."""
        return replace(self, output=replace(self.output, **changes))  # type: ignore[arg-type]

    def tuned(self, threads: int, memory_saving_level: int) -> Self:
        """The same clip, with the settings that fit its reservation."""
        return replace(self, threads=threads, memory_saving_level=memory_saving_level)

    def showing(self, pictures: Pictures) -> Self:
        """The same clip, by what its range was found to show."""
        return replace(self, start=pictures.zero, pictures=pictures)

    def encode_whole(self, reason: str) -> Self:
        """The same clip with everything encoded, after a smart cut that can copy nothing."""
        return replace(self, strategy=Strategy(Tool.PYAV, Mode.ENCODE, reason))


def plan_clip(spec: ClipSpec, facts: MediaFacts) -> ClipPlan:
    """Decide how a clip is made.

    Raises NoSuchStream when the source lacks what was asked for, RangeOutsideMedia for a start past
    its end.
    """
    container = choose_container(spec, facts)
    strategy = choose_strategy(spec, facts, container)
    asked_end = _asked_end(spec, facts)
    end, warnings = _clamped(spec.start, asked_end, facts)
    if strategy.tool is Tool.PYAV:
        warnings = ()  # the PyAV program finds the real end of the media, and warns itself
    plan = ClipPlan(facts, spec.output, strategy, container, spec.start, end, asked_end)
    if spec.output.subtitles == "burn" and burned_subtitles(plan) is None:
        raise NoSuchStream("the source has no picture to draw subtitles into")
    lost = lost_tracks(facts, container, spec.output, plan.sounds)
    return replace(plan, warnings=(*warnings, *_mapped_range(plan), *lost))


def burned_subtitles(plan: ClipPlan) -> SubtitleFacts | None:
    """The subtitles that are drawn into the clip's pictures. Raises NoSuchStream."""
    if plan.output.subtitles != "burn" or not plan.keeps_picture:
        return None
    return text_to_burn(plan.facts)


def _mapped_range(plan: ClipPlan) -> list[str]:
    video = plan.facts.video
    if video is None or plan.strategy.tool is not Tool.FFMPEG or not video.colour.hdr:
        return []
    return ["the high dynamic range was mapped to what every screen shows"]


def _asked_end(spec: ClipSpec, facts: MediaFacts) -> float:
    """The end; that of the media where none was asked for."""
    if spec.end is not None:
        return spec.end
    if facts.duration_seconds is None:
        raise RangeOutsideMedia("the source does not say how long it is: give the clip an end")
    return max(facts.duration_seconds, spec.start)


def _clamped(start: float, end: float, facts: MediaFacts) -> tuple[float, tuple[str, ...]]:
    """The end, at most the media's own, and a warning where it was moved."""
    duration = facts.duration_seconds
    if duration is None or (end <= duration and start < end):
        return end, ()
    if start >= duration:
        raise RangeOutsideMedia(
            f"the start, {start:g} s, is past the end of the media, {duration:.3f} s"
        )
    if end <= duration + CLAMP_TOLERANCE_SECONDS:
        return end, ()
    return duration, (f"the end was moved to the end of the media, {duration:.3f} s",)


def expected_frames(plan: ClipPlan) -> int | None:
    """How many pictures the clip gets; None when that is not known."""
    if plan.container == "gif" or plan.pictures is None or not plan.keeps_picture:
        return None  # a GIF has its own rate, and leaves out what does not change
    if plan.output.fps is None:
        return plan.pictures.count
    return max(1, round(min(plan.seconds, plan.pictures.end) * plan.output.fps))


def with_longer_preroll(plan: ClipPlan) -> ClipPlan | None:
    """The plan that decodes from further back; None when the plan already does."""
    if plan.seek_seconds <= max(0.0, plan.first - LONG_PREROLL_SECONDS):
        return None
    return replace(plan, preroll_seconds=LONG_PREROLL_SECONDS)
