"""Lines and tails stay bounded, and whole, however the bytes arrive."""

from __future__ import annotations

import pytest

from worker.process.output import LINE_BYTES, TAIL_BYTES, Lines, Tail


def read(data: bytes, chunk_bytes: int) -> list[str]:
    """The lines of a stream that arrives in chunks of that size."""
    lines = Lines()
    found = []
    for at in range(0, len(data), chunk_bytes):
        found += lines.feed(data[at : at + chunk_bytes])
    return [*found, *lines.rest()]


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"\n\n", ["", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        ("ä€\n𝄞".encode(), ["ä€", "𝄞"]),
    ],
)
def test_lines_do_not_depend_on_how_the_bytes_arrive(
    data: bytes, expected: list[str], chunk_bytes: int
) -> None:
    assert read(data, chunk_bytes) == expected


@pytest.mark.parametrize("chunk_bytes", [1000, LINE_BYTES, LINE_BYTES * 4])
def test_a_line_at_the_bound_is_whole_and_one_above_is_cut(chunk_bytes: int) -> None:
    fits = b"x" * LINE_BYTES
    lines = read(fits + b"\n" + fits + b"yz\n" + b"next\n", chunk_bytes)
    assert lines == [fits.decode(), fits.decode(), "next"]


def test_a_cut_line_at_the_end_of_the_stream_comes_once() -> None:
    assert read(b"x" * (LINE_BYTES * 3), 4096) == ["x" * LINE_BYTES]


def test_a_tail_is_the_last_8_kib() -> None:
    tail = Tail()
    for number in range(5_000):
        tail.feed(f"line {number}\n".encode())
    assert len(tail.text()) == TAIL_BYTES
    assert tail.text().endswith("line 4998\nline 4999\n")


def test_a_short_tail_is_everything() -> None:
    tail = Tail()
    tail.feed(b"only ")
    tail.feed(b"this")
    assert tail.text() == "only this"
