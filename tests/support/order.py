"""The order of the tests: long files first, or all files shuffled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import groupby

import pytest

# Files that take half a minute and more, the longest first: a run of several processes would wait
# at its end for a long file that began last.
LONG = (
    "tests/acceptance/test_outages.py",
    "tests/acceptance/test_faults.py",
    "tests/chaos/test_short.py",
    "tests/integration/worker/pyav/test_exactness.py",
    "tests/integration/worker/test_ytdlp.py",
    "tests/acceptance/test_small_box.py",
    "tests/integration/test_benchmarks.py",
)


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Long files first, the others in the given order."""
    place = {name: number for number, name in enumerate(LONG)}
    return sorted(items, key=lambda item: place.get(_file(item), len(LONG)))


def shuffled(items: Sequence[pytest.Item], seed: int) -> list[pytest.Item]:
    """The files in random order, and the tests of each in random order: equal for equal seeds.

    The tests of a file stay together, since they may share a fixture that is made once.
    """
    chance = random.Random(seed)
    files = [list(tests) for _, tests in groupby(items, key=_file)]
    chance.shuffle(files)
    for tests in files:
        chance.shuffle(tests)
    return [item for tests in files for item in tests]


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
