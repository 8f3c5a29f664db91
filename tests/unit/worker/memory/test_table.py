"""The table's file: read, written, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.values import MIB
from worker.memory.table import FILE_NAME, BadTable, Table, read_table, shipped_table, table_for


def test_without_an_own_table_the_shipped_one_holds(tmp_path: Path) -> None:
    assert table_for(tmp_path) == shipped_table()


def test_a_table_of_the_machine_is_read_as_it_was_written(tmp_path: Path) -> None:
    own = Table({**shipped_table().mib, "ffmpeg": 99.5}, 1.04, {"at": "2026-11-21"})
    own.write(tmp_path / FILE_NAME)

    assert table_for(tmp_path) == own
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_table_that_lacks_a_term_is_refused_by_its_name(tmp_path: Path) -> None:
    less = {name: mib for name, mib in shipped_table().mib.items() if name != "x264 draft lean 0"}
    Table(less, 1.04, {}).write(tmp_path / FILE_NAME)

    with pytest.raises(BadTable, match="x264 draft lean 0"):
        table_for(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("mib"),
        lambda values: values.update(margin="much"),
        lambda values: values.update(margin=0.2),
        lambda values: values["mib"].update(ffmpeg=-1),
        lambda values: values["mib"].update(ffmpeg=float("nan")),
        lambda values: values["mib"].update(ffmpeg=[40]),
        lambda values: values.update(mib=[1, 2]),
    ],
)
def test_a_broken_table_is_refused(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    path = tmp_path / FILE_NAME
    shipped_table().write(path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))

    with pytest.raises(BadTable, match=FILE_NAME):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff\xfe"])
def test_a_file_that_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)

    with pytest.raises(BadTable, match="clipmill calibrate"):
        read_table(path)


def test_an_estimate_is_the_sum_of_its_terms_and_the_margin() -> None:
    table = Table({"tool": 40.0, "picture": 10.0}, 1.1, {})

    assert table.bytes_of({"tool": 1, "picture": 2.5}) == round(65 * 1.1 * MIB)


def test_a_codec_without_a_row_is_taken_for_the_hungriest() -> None:
    table = Table({"decode h264": 3.0, "decode av1": 10.0}, 1.0, {})

    assert table.bytes_of({"decode unheard-of": 1}) == 10 * MIB
