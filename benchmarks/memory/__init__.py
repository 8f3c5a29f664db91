"""Part `memory`: the estimates of the model beside the peaks of real clips."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.memory.page import write_page, write_plot
from benchmarks.part import Outcome, Setup, Sheet
from tests.support.memory.measured import Row, measured
from tests.support.memory.sweep import all_trials, short_trials
from worker.memory.table import shipped_table

DOCS = Path(__file__).parents[2] / "docs"


def run(setup: Setup) -> Outcome:
    """Make every clip once; the full sweep also writes docs/memory.md's table and its plot."""
    trials = short_trials() if setup.quick else all_trials()
    rows = []
    with TemporaryDirectory(dir=setup.folder) as samples:  # half a gigabyte of videos
        for number, trial in enumerate(trials, 1):
            rows.append(measured(trial, Path(samples), shipped_table()))
            setup.say(f"{number}/{len(trials)}  {rows[-1].name}: {rows[-1].ratio:.2f}")
    if not setup.quick:
        write_page(DOCS / "memory.md", rows)
        write_plot(DOCS / "memory.svg", rows)
    return Outcome({"rows": [row.values() for row in rows]}, [_sheet(rows)])


def _sheet(rows: list[Row]) -> Sheet:
    within = sum(row.within for row in rows)
    lowest = min(row.ratio for row in rows)
    notes = (
        f"{within} of {len(rows)} estimates lie within -10 % and +35 % of the peak; "
        f"the lowest is {lowest - 1:+.0%}, the highest {max(row.ratio for row in rows) - 1:+.0%}",
    )
    columns = ("clip", "estimate MiB", "observed MiB", "ratio")
    return Sheet("Peak memory", columns, [row.cells() for row in rows], notes)
