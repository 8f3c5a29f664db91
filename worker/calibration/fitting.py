"""From observed peaks to the memory of each term: least squares of the relative error. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from config.values import MIB
from worker.memory.model import Terms
from worker.memory.table import Table

# How strongly a term keeps its value: hardly, where there are peaks to fit it to; but a term that
# was not measured this time stays as it was.
HOLD = 1e-5
UNKNOWN_MIB = 10.0
LEAST_MARGIN, MOST_MARGIN = 1.03, 1.15
LOWEST_RATIO = 0.96  # of an estimate to the peaks it was fitted to


class Peak(NamedTuple):
    """The memory that a step used."""

    terms: Terms
    peak_bytes: int


def fitted(peaks: Sequence[Peak], before: Mapping[str, float]) -> dict[str, float]:
    """MiB of each term that meet the peaks with the least relative error; none is below 0."""
    names = sorted({name for peak in peaks for name in peak.terms} | before.keys())
    free = list(names)
    while True:
        found = dict.fromkeys(names, 0.0) | _least_squares(free, peaks, before)
        below = [name for name in free if found[name] < 0]
        if not below:
            return found
        free = [name for name in free if name not in below]


def margin_of(peaks: Sequence[Peak], mib: Mapping[str, float]) -> float:
    """The margin with which no observed peak lies clearly above its estimate."""
    plain = Table(mib, 1.0, {})
    worst = max(peak.peak_bytes / plain.bytes_of(peak.terms) for peak in peaks)
    return round(min(max(LOWEST_RATIO * worst, LEAST_MARGIN), MOST_MARGIN), 3)


def _least_squares(
    names: Sequence[str], peaks: Sequence[Peak], before: Mapping[str, float]
) -> dict[str, float]:
    """The normal equations, each peak divided by itself."""
    place = {name: number for number, name in enumerate(names)}
    size = len(names)
    matrix = [[0.0] * (size + 1) for _ in range(size)]
    for name, at in place.items():
        weight = HOLD / max(before.get(name, UNKNOWN_MIB), 1.0) ** 2
        matrix[at][at] += weight
        matrix[at][size] += weight * before.get(name, 0.0)
    for terms, peak_bytes in peaks:
        row = {place[n]: amount * MIB / peak_bytes for n, amount in terms.items() if n in place}
        for at, amount in row.items():
            for other, factor in row.items():
                matrix[at][other] += amount * factor
            matrix[at][size] += amount
    return dict(zip(names, _solved(matrix), strict=True))


def _solved(matrix: list[list[float]]) -> list[float]:
    """Gauss-Jordan elimination; the last column is the right side."""
    for at in range(len(matrix)):
        best = max(range(at, len(matrix)), key=lambda row: abs(matrix[row][at]))
        matrix[at], matrix[best] = matrix[best], matrix[at]
        pivot = matrix[at][at]
        matrix[at] = [value / pivot for value in matrix[at]]
        for row in range(len(matrix)):
            if row != at and matrix[row][at]:
                factor = matrix[row][at]
                matrix[row] = [
                    value - factor * own for value, own in zip(matrix[row], matrix[at], strict=True)
                ]
    return [row[-1] for row in matrix]
