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
# What nobody has run for so long is forgotten: a factor that was learned in a bad hour may be the
# reason why other settings were chosen ever since, and then nothing else would lower it.
KEPT_SECONDS = 3 * 86_400


class PeakFactors(StorePart):
    """A factor for each shape of work, by which the model's estimate is multiplied."""

    def note(self, shape: str, ratio: float) -> float:
        """A job of this shape took `ratio` times what the model says; its factor from now on."""
        words = (shape, ratio, PATIENCE, STEP_DOWN, LEAST, MOST, SHAPES_KEPT, KEPT_SECONDS)
        return float(self._run("peak", [PEAKS], *words))

    def factors(self) -> dict[str, float]:
        """Every shape that was seen lately, with its factor."""
        with translated():
            found = self._redis.hgetall(PEAKS)
            since = self._redis.time()[0] - KEPT_SECONDS
        told = {shape.decode(): value.split() for shape, value in found.items()}
        return {shape: float(it[0]) for shape, it in told.items() if int(it[-1]) > since}
