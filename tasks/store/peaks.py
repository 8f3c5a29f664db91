"""What memory jobs really took, by their shape: one correction of the model for all workers."""

from __future__ import annotations

from tasks.store.connection import StorePart, translated
from tasks.store.keys import PEAKS

# So many jobs in a row must stay below the estimate before it sinks, and then by this share of
# the difference each time: too low is the worse fault.
PATIENCE = 5
STEP_DOWN = 0.1
# Tools side by side share the pages of their program, so each alone takes a tenth more than it
# showed then; the spare of a reservation must still hold it.
LEAST, MOST = 0.9, 4.0
SHAPES_KEPT = 500


class PeakFactors(StorePart):
    """A factor for each shape of work, by which the model's estimate is multiplied."""

    def note_peak(self, shape: str, ratio: float) -> float:
        """A job of this shape took `ratio` times what the model says; its factor from now on."""
        words = (shape, ratio, PATIENCE, STEP_DOWN, LEAST, MOST, SHAPES_KEPT)
        return float(self.run("peak", [PEAKS], *words))

    def peak_factors(self) -> dict[str, float]:
        """Every shape that was seen, with its factor."""
        with translated():
            found = self.redis.hgetall(PEAKS)
        return {shape.decode(): float(value.split()[0]) for shape, value in found.items()}
