"""The kinds of job: one row each. A new kind is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tasks.specs import Spec
from worker.kinds import clip, download, extract
from worker.kinds.interface import Machine, Outcome

_RUN: dict[str, object] = {
    "extract": extract.run,
    "download": download.run,
    "clip": clip.run,
}


def run_kind(spec: Spec, machine: Machine) -> Outcome:
    """Do what a spec asks, with the tools of this machine. Raises a JobError."""
    # Each function takes its own spec type; the key of its row is that type's kind.
    run = cast(Callable[[Spec, Machine], Outcome], _RUN[spec.kind])
    return run(spec, machine)
