"""Damaged files of every format that may be a source: a clip or a named error, and soon."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import JobError
from tests.support.cases.cutting import cut
from tests.support.cases.judging import Range
from tests.support.cases.table import CASES
from worker.cutting import Cut

FORMATS = (
    "prores.mov", "dv.avi", "phone.3gp", "wmv.wmv", "gif.gif", "theora.ogv", "program.mpg",
    "pulldown.mpg", "subtitles.mkv", "ts_dvbsub.ts", "plain.flv", "vp8.webm", "edits_many.mp4",
)  # fmt: skip
NAMED = {"not_media", "corrupt_media", "range_outside_media", "no_such_stream"}
SECONDS = 60.0  # a broken file must not take longer than a whole one; a busy machine is forgiven


def truncated(data: bytes) -> bytes:
    """The last two fifths are missing."""
    return data[: len(data) * 3 // 5]


def bits_flipped(data: bytes) -> bytes:
    """A byte in two thousand is another one, behind the first few."""
    chance, damaged = random.Random(7), bytearray(data)
    for _ in range(max(20, len(data) // 2000)):
        damaged[chance.randrange(64, len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def lying_about_its_size(data: bytes) -> bytes:
    """Whatever stands where containers have their first length is the largest that fits."""
    return data[:4] + struct.pack(">I", 0x7FFFFFFF) + data[8:16] + b"\xff" * 8 + data[24:]


def only_its_head(data: bytes) -> bytes:
    """A thousand bytes."""
    return data[:1000]


def made_or_refused(source: Path, mode: str, folder: Path) -> Cut | JobError:
    try:
        return cut(source, mode, Range(0.5, 1.5), folder)
    except JobError as error:
        return error


@pytest.mark.parametrize("damage", [truncated, bits_flipped, lying_about_its_size, only_its_head])
@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_source_gives_a_clip_or_a_named_error(
    name: str, damage: Callable[[bytes], bytes], media_folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / name
    source.write_bytes(damage(CASES[name].file(media_folder).read_bytes()))
    began = time.monotonic()
    for mode in ("auto", "encode", "copy"):
        folder = tmp_path / mode
        folder.mkdir()
        made = made_or_refused(source, mode, folder)
        if isinstance(made, JobError):
            # Two decoders may make different pictures of damaged data: then no clip is published.
            assert made.code in NAMED or "did not pass its check" in made.message, made
            assert str(tmp_path) not in made.message
        else:
            assert made.path.stat().st_size > 0
            assert made.values["verification"].frames_found == made.values["frames"]
    assert time.monotonic() - began < SECONDS
