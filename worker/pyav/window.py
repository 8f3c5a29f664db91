"""The requested range, in seconds and in a stream's own ticks."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from worker.clip import plan

MICROSECONDS = 1_000_000


def seconds(value: float) -> Fraction:
    """A client's float as an exact number, rounded to the microsecond."""
    return Fraction(value).limit_denominator(MICROSECONDS)


GRACE_SECONDS = seconds(plan.GRACE_SECONDS)
STILL_SECONDS = seconds(plan.STILL_SECONDS)


@dataclass(frozen=True, slots=True)
class Window:
    """A range of media time seen in one stream's ticks.

    Zero is the container's start time; a frame belongs when `first <= pts < past`, which is
    start <= time < end with half a millisecond of grace. `on_display` is the pts of a picture that
    belongs as well: it began before the range and is still shown at the start.
    """

    time_base: Fraction
    zero: Fraction
    start: Fraction
    end: Fraction
    on_display: int | None = None

    @property
    def first(self) -> int:
        """The lowest pts inside."""
        if self.on_display is not None:
            return self.on_display
        return self._ticks(self.start - GRACE_SECONDS)

    @property
    def past(self) -> int:
        """The lowest pts no longer inside."""
        return self._ticks(self.end - GRACE_SECONDS)

    @property
    def last_at_start(self) -> int:
        """The highest pts at or before the start."""
        return floor((self.start + GRACE_SECONDS + self.zero) / self.time_base)

    @property
    def start_ticks(self) -> int:
        """The start of the range, without the grace."""
        return self._ticks(self.start)

    @property
    def end_ticks(self) -> int:
        """The end of the range, without the grace."""
        return self._ticks(self.end)

    def time(self, pts: int) -> Fraction:
        """Media time of a pts, as a player counts."""
        return pts * self.time_base - self.zero

    def _ticks(self, time: Fraction) -> int:
        return ceil((time + self.zero) / self.time_base)
