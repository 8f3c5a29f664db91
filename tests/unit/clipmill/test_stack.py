from __future__ import annotations

from pathlib import Path

import pytest

from clipmill.stack.service import LONGEST_PAUSE_SECONDS, pause_seconds
from clipmill.stack.valkey import fits_a_socket


def test_the_pause_doubles_up_to_a_bound() -> None:
    assert [pause_seconds(deaths) for deaths in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert pause_seconds(10_000) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    ("folder", "fits"),
    [
        ("/data/broker", True),
        ("/data/my videos", False),
        ("/data/ü", False),
        ("/" + "x" * 95, False),
    ],
)
def test_a_socket_needs_a_short_and_plain_path(folder: str, fits: bool) -> None:
    assert fits_a_socket(Path(folder)) is fits
