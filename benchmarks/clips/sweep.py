"""How the cost of a smart cut grows with the position and with the length of the clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.clips.batch import run_batch
from benchmarks.clips.measured import Measured
from benchmarks.clips.process import cut_by_program
from benchmarks.clips.session import RUN, Session
from benchmarks.clips.sizes import Range, Sizes
from benchmarks.clips.ways import Way
from benchmarks.numbers import median, ratio, seconds
from benchmarks.part import Setup, Sheet

Points = Mapping[str, Sequence[Measured]]


def sweep(
    setup: Setup, sizes: Sizes, source: Path, session: Session, ranges: Mapping[str, Range]
) -> Points:
    """By label: the job in the system, and the cutting program alone."""
    ways = (Way("job", "job", session.cut), Way("program", "program", cut_by_program))
    return {
        label: run_batch(setup, sizes.rounds, source, [wanted], ways)
        for label, wanted in ranges.items()
    }


def positions(sizes: Sizes) -> dict[str, Range]:
    """A clip of the batch's length at each position."""
    return {
        _clock(start): Range(start, round(start + sizes.clip_seconds, 3))
        for start in sizes.positions
    }


def lengths(sizes: Sizes) -> dict[str, Range]:
    """A clip of each length, all from the same position."""
    start = sizes.positions[0]
    return {f"{length} s": Range(start, round(start + length, 3)) for length in sizes.lengths}


def sweep_sheet(title: str, first_column: str, points: Points) -> Sheet:
    """Each point beside the first."""
    base = next(iter(points.values()))
    return Sheet(
        title,
        (first_column, "run s", "ratio", "program wall s", "ratio", "program CPU s", "ratio",
         "exact"),
        [_row(label, found, base) for label, found in points.items()],
        ("run: the job's own run_seconds; program: its media process alone, without the system.",),
    )  # fmt: skip


def _row(label: str, found: Sequence[Measured], base: Sequence[Measured]) -> list[str]:
    cells = []
    for value, first in zip(_figures(found), _figures(base), strict=True):
        cells += [seconds(value), ratio(value, first)]
    return [label, *cells, found[0].exact]


def _figures(found: Sequence[Measured]) -> tuple[float, float, float]:
    job, program = found
    return median(job.more[RUN]), program.wall_seconds, program.cpu_seconds


def sweep_values(points: Points) -> dict[str, Any]:
    return {
        label: {each.way.name: each.values() for each in found} for label, found in points.items()
    }


def _clock(value: float) -> str:
    return f"{int(value // 60)}:{value % 60:05.2f}"
