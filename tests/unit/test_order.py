"""The order of tests: long files first, or any order that a seed gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.order import LONG, in_order, shuffled

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Item:
    """As much of a test as its order depends on."""

    nodeid: str


NAMES = [f"{file}::test_{number}" for file in ("a.py", LONG[1], LONG[0]) for number in range(9)]
ITEMS = [Item(name) for name in NAMES]


def test_every_file_that_begins_first_is_there() -> None:
    assert [name for name in LONG if not (ROOT / name).is_file()] == []


def test_long_files_begin_first_and_the_tests_of_a_file_keep_their_order() -> None:
    ordered = [item.nodeid for item in in_order(ITEMS)]  # type: ignore[arg-type]
    assert ordered == NAMES[18:] + NAMES[9:18] + NAMES[:9]


def test_a_seed_gives_one_order_of_all_tests_in_which_files_stay_together() -> None:
    orders = [
        [item.nodeid for item in shuffled(ITEMS, seed)]  # type: ignore[arg-type]
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(order) == sorted(NAMES) and order != NAMES for order in orders)
    files = [name.partition("::")[0] for name in orders[0]]
    assert [len(set(files[at : at + 9])) for at in (0, 9, 18)] == [1, 1, 1]
