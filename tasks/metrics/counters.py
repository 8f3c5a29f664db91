"""The name of a counter in the store, and how one observation of a histogram is counted.

A name is `metric` or `metric{label=value,…}`; a histogram keeps `_bucket`, `_sum` and `_count`.
`catalogue` says what each metric means.
"""

from __future__ import annotations

from collections import Counter

from tasks.metrics.catalogue import buckets_of, check_name

# Amounts that are to be added to counters, by name.
Tally = Counter[str]


def counter_name(metric: str, **labels: str) -> str:
    """A metric and its labels, in fixed order. Raises ValueError if the catalogue lacks it."""
    names = tuple(sorted(labels))
    check_name(metric, names)
    inside = ",".join(f"{label}={labels[label]}" for label in names)
    return f"{metric}{{{inside}}}" if inside else metric


def observed(metric: str, value: float, **labels: str) -> Tally:
    """One observation of a histogram. Buckets are not cumulative here: the reader adds them up."""
    bound = next((f"{edge:g}" for edge in buckets_of(metric) if value <= edge), "+Inf")
    return Tally(
        {
            counter_name(f"{metric}_bucket", le=bound, **labels): 1,
            counter_name(f"{metric}_sum", **labels): value,
            counter_name(f"{metric}_count", **labels): 1,
        }
    )
