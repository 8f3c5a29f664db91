"""Groups the store's flat counters into families of metrics. Does not import Prometheus."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tasks.metrics.catalogue import FAMILIES, buckets_of
from tasks.metrics.counters import counter_name

_FLAT = re.compile(r"([a-z_][a-z0-9_]*)(?:\{(.*)\})?")
_PART = re.compile(r"(.+)_(bucket|sum|count)")

LabelValues = tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """A family of plain numbers, by the values of its labels."""

    name: str
    labels: tuple[str, ...]
    values: Mapping[LabelValues, float]


@dataclass(frozen=True)
class Distribution:
    """A histogram's rows, by the values of its labels: cumulative buckets, and the sum."""

    name: str
    labels: tuple[str, ...]
    rows: Mapping[LabelValues, tuple[list[tuple[str, float]], float]]


def families(counters: Mapping[str, float]) -> list[Numbers | Distribution]:
    """Every family behind the flat names of `tasks.metrics.counters`, sorted by name."""
    plain: dict[str, dict[str, float]] = defaultdict(dict)
    parts: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for flat, value in {**_zeros(), **counters}.items():
        metric, part, inside = _split(flat)
        if part:
            parts[metric][part][inside] = value
        elif metric:
            plain[metric][inside] = value
    found: list[Numbers | Distribution] = [
        *(_numbers(name, rows) for name, rows in plain.items()),
        *(_distribution(name, by_part) for name, by_part in parts.items()),
    ]
    return sorted(found, key=lambda family: family.name)


# The names are few and the same in every scrape.
@lru_cache(maxsize=8192)
def _split(flat: str) -> tuple[str, str, str]:
    """Metric, part of a histogram, and the text in the braces; empty for an unknown form."""
    match = _FLAT.fullmatch(flat)
    if match is None:
        return "", "", ""  # written by another version of this program
    part = _PART.fullmatch(match[1])
    return (part[1], part[2], match[2] or "") if part else (match[1], "", match[2] or "")


def _zeros() -> dict[str, float]:
    """A counter must exist before its first event, or the first increase is not seen."""
    return {
        counter_name(f"{metric}_count" if family.buckets else metric, **row): 0.0
        for metric, family in FAMILIES.items()
        for row in family.rows()
    }


@lru_cache(maxsize=8192)
def _pairs(inside: str) -> Mapping[str, str]:
    return dict(item.split("=", 1) for item in inside.split(",") if "=" in item)


def _numbers(name: str, rows: Mapping[str, float]) -> Numbers:
    labels = tuple(sorted({label for inside in rows for label in _pairs(inside)}))
    values = {_values(inside, labels): value for inside, value in rows.items()}
    return Numbers(name, labels, values)


def _values(inside: str, labels: tuple[str, ...]) -> LabelValues:
    pairs = _pairs(inside)
    return tuple(pairs.get(label, "") for label in labels)


def _distribution(name: str, parts: Mapping[str, Mapping[str, float]]) -> Distribution:
    labels = tuple(sorted({label for inside in parts["count"] for label in _pairs(inside)}))
    counts: dict[LabelValues, dict[str, float]] = defaultdict(dict)
    for inside, count in parts["bucket"].items():
        counts[_values(inside, labels)][_pairs(inside).get("le", "+Inf")] = count
    edges = _edges(name)
    return Distribution(
        name,
        labels,
        {
            _values(inside, labels): (
                _cumulative(counts[_values(inside, labels)], edges),
                parts["sum"].get(inside, 0.0),
            )
            for inside in parts["count"]
        },
    )


def _edges(name: str) -> list[str]:
    return [f"{bound:g}" for bound in buckets_of(name)]


def _cumulative(counts: Mapping[str, float], edges: list[str]) -> list[tuple[str, float]]:
    """In Prometheus a bucket includes all buckets below it; the store counts each bucket alone.

    Every edge is present even when empty, since a sum over rows with different edges is wrong.
    """
    buckets, running = [], 0.0
    for edge in sorted({*edges, *counts, "+Inf"}, key=_as_number):
        running += counts.get(edge, 0.0)
        buckets.append((edge, running))
    return buckets


def _as_number(edge: str) -> float:
    return math.inf if edge == "+Inf" else float(edge)
