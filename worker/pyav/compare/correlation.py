"""How alike two rows of numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt


def correlation(left: Sequence[float], right: Sequence[float]) -> float:
    """Pearson's, from -1 to 1; 0 where one of the rows does not vary."""
    left_rest, right_rest = _about_mean(left), _about_mean(right)
    both = sum(a * b for a, b in zip(left_rest, right_rest, strict=True))
    scale = sqrt(sum(a * a for a in left_rest) * sum(b * b for b in right_rest))
    return both / scale if scale else 0.0


def spread(numbers: Sequence[float]) -> float:
    """Their standard deviation."""
    return sqrt(sum(it * it for it in _about_mean(numbers)) / len(numbers))


def _about_mean(numbers: Sequence[float]) -> list[float]:
    mean = sum(numbers) / len(numbers)
    return [it - mean for it in numbers]
