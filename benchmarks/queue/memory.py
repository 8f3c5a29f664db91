"""What the system holds in memory while it waits."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from benchmarks.numbers import megabytes
from benchmarks.part import Sheet
from benchmarks.stack import System
from clipmill.demo.memory import tree_bytes

BAR_BYTES = 250_000_000
SETTLE_SECONDS = 2.0  # what a start or a job leaves behind is given back by then


@dataclass(frozen=True)
class Held:
    """Memory of a service with all below it. PSS shares a page out among all processes of the
    machine that map it, so it is less while others run Python too; RSS counts it each time."""

    pss_bytes: int
    rss_bytes: int


def idle_memory(system: System) -> dict[str, Held]:
    """What each service holds, and all together."""
    time.sleep(SETTLE_SECONDS)
    found = {name: held_by(process) for name, process in system.processes().items()}
    together = Held(
        sum(held.pss_bytes for held in found.values()),
        sum(held.rss_bytes for held in found.values()),
    )
    return found | {"together": together}


def held_by(process: psutil.Process) -> Held:
    tree = (process, *process.children(recursive=True))
    return Held(tree_bytes([process.pid]), sum(it.memory_info().rss for it in tree))


def memory_sheet(at_first: dict[str, Held], afterwards: dict[str, Held], jobs: int) -> Sheet:
    return Sheet(
        "Memory of the idle system (MB)",
        ("", "PSS at first", "RSS", f"PSS after {jobs} jobs", "RSS"),
        [(name, *_cells(at_first[name]), *_cells(afterwards[name])) for name in at_first],
        (f"Bar: together at most {BAR_BYTES / 1e6:.0f} MB (PSS).",),
    )


def _cells(held: Held) -> tuple[str, str]:
    return megabytes(held.pss_bytes), megabytes(held.rss_bytes)
