"""What the cut program was asked: its spec as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from worker.pyav.window import seconds

MODES = frozenset({"smart", "auto", "encode-exact"})
QUALITIES = frozenset({"draft", "standard", "high"})


@dataclass(frozen=True, slots=True)
class CutRequest:
    """One clip to make. Raises ValueError on a spec that the worker should not have sent."""

    source: str
    output: str
    start: Fraction
    end: Fraction
    mode: str = "auto"
    container: str = "mp4"
    quality: str = "standard"
    threads: int = 1
    lean: int = 0
    audio: str = "keep"
    reason: str | None = None  # why everything is to be encoded

    def __post_init__(self) -> None:
        if self.mode not in MODES or self.quality not in QUALITIES or not self.start < self.end:
            raise ValueError("not a valid cut spec")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """The spec as JSON brought it."""
        times = {"start": seconds(spec["start"]), "end": seconds(spec["end"])}
        return cls(**{**spec, **times})
