"""The peak memory of jobs by their shape: one correction of the model for all workers."""

from __future__ import annotations

from tasks.store.connection import StorePart, translated
from tasks.store.keys import PEAKS

# The factor sinks after this many jobs in a row below it, and then by this share of the difference
# each time: an estimate that is too low is the worse fault.
PATIENCE = 5
STEP_DOWN = 0.1
# Tools that run side by side share the pages of their program, so a tool alone needs a tenth more
# than it showed then; the spare of a reservation must still hold this tenth.
LEAST, MOST = 0.9, 4.0
SHAPES_KEPT = 500
# A shape that has not run for this time is forgotten: its factor may be wrongly high, and so be the
# reason why jobs use other settings. Then no job of this shape would ever lower the factor.
KEPT_SECONDS = 3 * 86_400


class PeakFactors(StorePart):
    """A factor for each shape of work, by which the model's estimate is multiplied."""

    def note(self, shape: str, ratio: float) -> float:
        """Record that a job peaked at `ratio` times the model; returns the shape's new factor."""
        words = (shape, ratio, PATIENCE, STEP_DOWN, LEAST, MOST, SHAPES_KEPT, KEPT_SECONDS)
        return float(self._run("peak", [PEAKS], *words))

    def factors(self) -> dict[str, float]:
        """The factors of all shapes that ran in the last KEPT_SECONDS."""
        with translated():
            found = self._redis.hgetall(PEAKS)
            since = self._redis.time()[0] - KEPT_SECONDS
        parts = {shape.decode(): value.split() for shape, value in found.items()}
        return {shape: float(it[0]) for shape, it in parts.items() if int(it[-1]) > since}
