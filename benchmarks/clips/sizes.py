"""How much is cut: the full sizes, and quick sizes that only show that everything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

FPS = 25
GRACE = Fraction(1, 2000)  # a time half a millisecond before a frame still counts as the frame's


@dataclass(frozen=True)
class Range:
    """Seconds of the source; a frame belongs to the range when `start ≤ t < end`."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return round(self.end - self.start, 3)

    @property
    def frames(self) -> range:
        """The numbers of the source's frames that belong to the range."""
        return range(_first_frame_from(self.start), _first_frame_from(self.end))

    def later(self, milliseconds: int) -> Range:
        """A range with the same frames that begins a little later, and so was not cut before."""
        shift = milliseconds / 1000
        moved = Range(round(self.start + shift, 3), round(self.end + shift, 3))
        assert moved.frames == self.frames
        return moved


@dataclass(frozen=True)
class Sizes:
    """The source, the clips cut from it, how often. `part_seconds` of the source are encoded and
    then repeated. `positions` and `lengths` (seconds) belong to the sweeps."""

    seconds: int
    part_seconds: int
    width: int
    height: int
    keyframe_frames: int
    clips: int
    clip_seconds: int
    long_seconds: int
    positions: Sequence[float]
    lengths: Sequence[int]
    rounds: int

    def batch(self) -> list[Range]:
        """The clips, spread evenly; the times fall between frames, as in requests of people."""
        step = (self.seconds - self.clip_seconds) / (self.clips - 1)
        starts = [round(number * step, 3) for number in range(self.clips)]
        return [Range(start, round(start + self.clip_seconds, 3)) for start in starts]


# All positions have the same distance from a keyframe, so that only the position differs.
FULL = Sizes(
    seconds=600, part_seconds=60, width=1920, height=1080, keyframe_frames=125,
    clips=12, clip_seconds=15, long_seconds=60,
    positions=(62.49, 182.49, 302.49, 422.49, 542.49), lengths=(15, 60, 300), rounds=3,
)  # fmt: skip
QUICK = Sizes(
    seconds=16, part_seconds=8, width=640, height=360, keyframe_frames=50,
    clips=3, clip_seconds=3, long_seconds=6,
    positions=(2.97, 10.97), lengths=(3, 6), rounds=1,
)  # fmt: skip


def _first_frame_from(seconds: float) -> int:
    moment = Fraction(seconds).limit_denominator(1000) - GRACE
    return max(0, -(-moment.numerator * FPS // moment.denominator))
