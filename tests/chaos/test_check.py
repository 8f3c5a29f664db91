"""The checker of the storms itself: it must not find good what is not."""

from __future__ import annotations

import pytest

from tests.chaos.check import story_faults

GOOD = [
    {"event": "queued"},
    {"event": "running", "attempt": 1},
    {"event": "queued", "attempt": 1, "why": "worker_lost"},
    {"event": "running", "attempt": 2},
    {"event": "queued", "attempt": 1, "why": "given back"},
    {"event": "running", "attempt": 2},
    {"event": "phase", "phase": "storing", "attempt": 2},
    {"event": "succeeded", "attempt": 2},
]


def test_a_story_with_a_lost_worker_and_a_drain_is_good() -> None:
    assert story_faults("job", GOOD) == []


@pytest.mark.parametrize(
    ("late", "where", "word"),
    [
        ({"event": "phase", "phase": "storing", "attempt": 1}, 6, "I8"),
        ({"event": "succeeded", "attempt": 1}, 6, "I8"),
        ({"event": "succeeded", "attempt": 2}, 8, "I1"),
        ({"event": "running", "attempt": 3}, 8, "I1"),
    ],
    ids=["a phase of a lost lease", "an end of a lost lease", "two ends", "a run after the end"],
)
def test_a_write_too_late_is_found(late: dict[str, object], where: int, word: str) -> None:
    found = story_faults("job", [*GOOD[:where], late, *GOOD[where:]])
    assert found[0].startswith(word)
