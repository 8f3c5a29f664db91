"""What a job will take of this machine: the estimate that admission reserves."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.media import MediaFacts
from tasks.specs import ClipSpec, Spec

MIB = 1024**2


@dataclass(frozen=True)
class Need:
    """Bytes to reserve, and threads to run the encoder with."""

    memory_bytes: int
    threads: int = 1


def need_of(spec: Spec, facts: MediaFacts | None, budget_bytes: int) -> Need:
    """The need of a job. `facts` are those of the source of a clip, if they are known."""
    if not isinstance(spec, ClipSpec):
        return Need(130 * MIB)
    pixels = facts.video.pixels if facts and facts.video else 0
    return Need(70 * MIB + pixels * 40)
