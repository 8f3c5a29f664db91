"""Sums up numbers and writes them for tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

NONE = "-"


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """The summary of several measurements of the same thing, for the JSON."""
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "median": statistics.median(ordered),
        "least": ordered[0],
        "most": ordered[-1],
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
    }


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def milliseconds(value_seconds: float) -> str:
    return f"{value_seconds * 1000:.1f}"


def megabytes(value_bytes: float) -> str:
    return f"{value_bytes / 1e6:.0f}"


def ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base else NONE
