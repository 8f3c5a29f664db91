"""Writes the sweep as a table into docs/memory.md, between two marks, and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from config.values import MIB
from tests.support.memory.measured import HIGHEST, LOWEST, Row

BEGIN, END = "<!-- sweep: written by make bench PARTS=memory -->", "<!-- end of sweep -->"


def write_page(path: Path, rows: Sequence[Row]) -> None:
    """Replace the text between the marks."""
    text = path.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{_words(rows)}\n\n{_table(rows)}\n\n{END}{after}")


def _words(rows: Sequence[Row]) -> str:
    ratios = sorted(row.ratio for row in rows)
    within = sum(row.within for row in rows)
    return (
        f"{len(rows)} clips: {within} estimates within -10 % and +35 % of the peak "
        f"({within / len(rows):.0%}); lowest {ratios[0] - 1:+.0%}, highest {ratios[-1] - 1:+.0%}, "
        f"median {ratios[len(ratios) // 2] - 1:+.0%}."
    )


def _table(rows: Sequence[Row]) -> str:
    lines = ["| clip | estimate MiB | observed MiB | ratio |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*lines, *("| " + " | ".join(row.cells()) + " |" for row in rows)])


def write_plot(path: Path, rows: Sequence[Row]) -> None:
    """The estimate over the observed peak, both logarithmic, with the promised band."""
    # Slow to load, and used only here.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 7), layout="constrained")
    axes = figure.subplots()
    observed = [row.peak_bytes / MIB for row in rows]
    axes.scatter(observed, [row.estimate_bytes / MIB for row in rows], s=14, color="#1f6feb")
    span = [0.9 * min(observed), 1.1 * max(observed)]
    axes.fill_between(
        span, [LOWEST * x for x in span], [HIGHEST * x for x in span], color="#1f6feb", alpha=0.12,
        label="-10 % to +35 %",
    )  # fmt: skip
    axes.plot(span, span, color="grey", linewidth=0.8, label="exact")
    axes.set(
        xscale="log", yscale="log", xlabel="observed peak, MiB", ylabel="estimate, MiB",
        title=f"Peak memory of {len(rows)} clips",
    )  # fmt: skip
    ticks = [40, 60, 100, 200, 400, 800]
    axes.set_xticks(ticks, map(str, ticks))
    axes.set_yticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
