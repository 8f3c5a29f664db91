"""What a result keeps of long metadata: bounded whatever they hold, and said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.kinds.long_info import LONGEST_BYTES, info_bytes, shortened

ENTRY = {"id": "x", "title": "t" * 300, "duration_seconds": 1.0}


@pytest.mark.parametrize(
    "info",
    [
        {"id": "a", "description": "d" * 50_000, "formats": [], "entries": []},
        {"id": "a", "title": "😀" * 5_000, "formats": [{"format_id": "1" * 200}] * 500},
        {"id": "a", "formats": [{"format_id": "f"}] * 3, "entries": [ENTRY] * 1000},
        {"id": "a", "formats": [{"format_id": "f" * 100}] * 400, "entries": [ENTRY] * 1000},
        {"id": "a", "entries": [{**ENTRY, "title": "\0" * 5_000}] * 1000},
    ],
    ids=["text", "emoji", "entries", "both", "one entry is too long"],
)
def test_it_fits_and_names_what_is_missing(info: dict[str, Any]) -> None:
    short, left_out = shortened(info)
    assert len(info_bytes(short)) <= LONGEST_BYTES
    assert list(short) == list(info)
    assert left_out
    for name in ("formats", "entries"):
        assert short.get(name, []) == info.get(name, [])[: len(short.get(name, []))]


def test_a_short_list_is_whole_beside_a_long_one() -> None:
    short, left_out = shortened({"formats": [{"format_id": "f"}] * 3, "entries": [ENTRY] * 1000})
    assert len(short["formats"]) == 3
    assert 20 < len(short["entries"]) < 60
    assert left_out == [f"entries: {len(short['entries'])} of 1000"]


def test_the_file_has_everything() -> None:
    info = {"title": "half \ud83d a pair", "entries": [ENTRY] * 3}
    assert json.loads(info_bytes(info))["entries"] == info["entries"]
