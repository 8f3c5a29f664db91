"""What a result shows of metadata that are too long for a job's record. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_BYTES = 16 * 1024
LONGEST_TEXT = 1_000  # characters of one text, where texts have to be shortened
LISTS = ("formats", "entries")


def info_bytes(info: Mapping[str, Any]) -> bytes:
    """The metadata as a file has them."""
    return json.dumps(info, ensure_ascii=False).encode(errors="replace")


def shortened(info: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The metadata within LONGEST_BYTES, and what was shortened: long texts, then both lists."""
    left_out: list[str] = []
    short: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            short[name] = value[:LONGEST_TEXT]
            left_out.append(f"{name}: the first {LONGEST_TEXT} of {len(value)} characters")
        elif name not in LISTS:
            short[name] = value
    room = LONGEST_BYTES - len(info_bytes(short))
    lists = [name for name in LISTS if info.get(name)]
    for place, name in enumerate(lists):
        kept = _within(info[name], room // (len(lists) - place))
        short[name] = kept
        room -= len(json.dumps(kept))
        if len(kept) < len(info[name]):
            left_out.append(f"{name}: {len(kept)} of {len(info[name])}")
    return {name: short.get(name, info[name]) for name in info}, left_out


def _within(items: Sequence[Any], room: int) -> list[Any]:
    kept = []
    for item in items:
        room -= len(json.dumps(item)) + 2
        if room < 0:
            break
        kept.append(item)
    return kept
