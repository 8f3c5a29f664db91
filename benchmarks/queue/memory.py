"""The memory of the idle system."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from benchmarks.numbers import megabytes
from benchmarks.part import Sheet
from benchmarks.stack import System
from clipmill.demo.memory import tree_bytes

BAR_BYTES = 250_000_000
SETTLE_SECONDS = 2.0  # by then the memory of a start or of a job is released


@dataclass(frozen=True)
class MemoryUse:
    """Memory of a service with all its descendants. PSS divides a page among all processes of the
    machine that map it, so it is less while other programs run Python too; RSS counts the page for
    each process."""

    pss_bytes: int
    rss_bytes: int


def idle_memory(system: System) -> dict[str, MemoryUse]:
    """The memory of each service, and of all together."""
    time.sleep(SETTLE_SECONDS)
    found = {name: memory_of(process) for name, process in system.processes().items()}
    together = MemoryUse(
        sum(use.pss_bytes for use in found.values()),
        sum(use.rss_bytes for use in found.values()),
    )
    return found | {"together": together}


def memory_of(process: psutil.Process) -> MemoryUse:
    tree = (process, *process.children(recursive=True))
    return MemoryUse(tree_bytes([process.pid]), sum(it.memory_info().rss for it in tree))


def memory_sheet(
    at_first: dict[str, MemoryUse], afterwards: dict[str, MemoryUse], jobs: int
) -> Sheet:
    return Sheet(
        "Memory of the idle system (MB)",
        ("", "PSS at first", "RSS", f"PSS after {jobs} jobs", "RSS"),
        [(name, *_cells(at_first[name]), *_cells(afterwards[name])) for name in at_first],
        (f"Bar: together at most {BAR_BYTES / 1e6:.0f} MB (PSS).",),
    )


def _cells(use: MemoryUse) -> tuple[str, str]:
    return megabytes(use.pss_bytes), megabytes(use.rss_bytes)
