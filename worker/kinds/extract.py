"""extract: read what a page says of its media, without fetching the media."""

from __future__ import annotations

from tasks.kinds import ExtractResult, ExtractSpec
from worker.kinds.interface import Machine, Outcome


def run(spec: ExtractSpec, machine: Machine) -> Outcome:
    """One `info`, as the contract has it."""
    assert spec.source.url is not None  # the planner takes no other source for this kind
    return Outcome(ExtractResult(info=machine.extract(spec.source.url, spec.playlist_items)))
