"""What is learned from the memory that jobs really used: a correction for each class of work."""

from __future__ import annotations

from worker.memory.need import Need


class Peaks:
    """The peaks that were seen, by the shape of the job."""

    def factor(self, shape: str) -> float:
        """By how much the model is to be multiplied for jobs of this shape."""
        return 1.0

    def note(self, need: Need, peak_bytes: int, *, stopped: bool) -> None:
        """A job of this need ended; `stopped` when it was for using more than it may."""
