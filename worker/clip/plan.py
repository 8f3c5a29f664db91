"""One clip to make, decided once: what is estimated, reserved and run reads this plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import TYPE_CHECKING, Self

from tasks.errors import RangeOutsideMedia
from tasks.media import AudioFacts, MediaFacts
from tasks.specs import Output
from worker.clip.containers import is_sound_alone
from worker.clip.seeking import LONG_PREROLL_SECONDS, preroll_of
from worker.clip.strategy import (
    JOINED_CODECS,
    Mode,
    Strategy,
    Tool,
    choose_container,
    choose_strategy,
)
from worker.clip.tracks import kept_sounds, lost_tracks

if TYPE_CHECKING:  # the PyAV programs import this file, and the imports of a spec take 3 MiB
    from tasks.kinds import ClipSpec

GRACE_SECONDS = 0.0005  # half a millisecond: Matroska rounds its time stamps to that
# An end that is so little past the media's end is only rounding.
CLAMP_TOLERANCE_SECONDS = 0.25


@dataclass(frozen=True)
class ClipPlan:
    """Keep `start` to `end` (seconds from the container's start time) of a probed source.

    `end` is at most the media's own; `asked_end` is the client's. `container` is the container to
    write, whatever `output.container` says. The last three say how the clip is made, see `tuned`:
    `threads` is for the decoder and the encoder each, `memory_saving_level` counts the steps away
    from the usual settings, `preroll_seconds` overrides how long before `start` decoding begins.
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

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return self.end - self.start

    @property
    def seek_seconds(self) -> float:
        """Where reading begins, in the same time as `start`; never before zero."""
        preroll = self.preroll_seconds
        return max(0.0, self.start - (preroll_of(self.facts) if preroll is None else preroll))

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
        return kept_sounds(self.facts, self.container, copied=copied)

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
    end, warnings = _clamped(spec, facts)
    if strategy.tool is Tool.PYAV:
        warnings = ()  # the PyAV program finds the real end of the media, and warns itself
    plan = ClipPlan(facts, spec.output, strategy, container, spec.start, end, spec.end)
    return replace(plan, warnings=(*warnings, *_losses(plan)))


def _losses(plan: ClipPlan) -> list[str]:
    if plan.keeps_picture and plan.output.audio == "drop":
        sounds = plan.facts.audio  # nobody misses them
        facts = replace(plan.facts, undecodable=())
    else:
        sounds, facts = plan.sounds, plan.facts
    return lost_tracks(facts, plan.container, sounds)


def _clamped(spec: ClipSpec, facts: MediaFacts) -> tuple[float, tuple[str, ...]]:
    """The end, at most the media's own, and a warning where it was moved."""
    duration = facts.duration_seconds
    if duration is None or spec.end <= duration:
        return spec.end, ()
    if spec.start >= duration:
        raise RangeOutsideMedia(
            f"the start, {spec.start:g} s, is past the end of the media, {duration:.3f} s"
        )
    if spec.end <= duration + CLAMP_TOLERANCE_SECONDS:
        return spec.end, ()
    return duration, (f"the end was moved to the end of the media, {duration:.3f} s",)


def expected_frames(plan: ClipPlan) -> int | None:
    """How many pictures the clip gets by the source's average rate; None when unknown."""
    video = plan.facts.video
    rate = plan.output.fps or (video.fps if video else None)
    if rate is None or not plan.keeps_picture or plan.container == "gif":
        return None  # a GIF has its own rate
    end = min(plan.end, plan.facts.duration_seconds or plan.end)
    return floor((end - plan.start) * rate)


def lost_frames(plan: ClipPlan, frames: int) -> bool:
    """Whether an encode delivered clearly fewer frames than `expected_frames`.

    This happens where pictures are refreshed bit by bit instead of by key pictures: FFmpeg drops
    pictures that it cannot show whole. A source of varying rate may be suspected wrongly.
    """
    expected = expected_frames(plan)
    return expected is not None and frames < expected - 1


def with_longer_preroll(plan: ClipPlan) -> ClipPlan | None:
    """The plan that decodes from further back; None when the plan already does."""
    if plan.seek_seconds <= max(0.0, plan.start - LONG_PREROLL_SECONDS):
        return None
    return replace(plan, preroll_seconds=LONG_PREROLL_SECONDS)
