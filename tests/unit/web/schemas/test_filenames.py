"""Names that a client may ask for, and what becomes of any other text."""

from __future__ import annotations

import pytest

from web.schemas.filenames import LONGEST_NAME, fault_of_name, safe_name, unique_names

HOSTILE = [
    "../../x", "/etc/x", "..\\x", "a/b", "x" * 5000, "CON", "con.mp4", "LPT1.txt", "a\u202egpj.exe",
    "a\x00b", "a\nb", "a\r\nX: y", "a\x7f", "", "   ", ".", "..", ".bashrc", "a.", " a", "a ",
    "\u200fa", "a\u2066b", "a\u2028b", "\ufeffa", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_could_do_harm_is_refused(name: str) -> None:
    assert fault_of_name(name)


@pytest.mark.parametrize(
    "name",
    ["clip.mp4", "Ein Höhlenfilm - 1.mkv", "夏.webm", "👩\u200d🚀.mp4", "CONTENT", "a" * 200],
)
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize("text", [*HOSTILE, "<script>", '"quoted"', "\0" * 300])
def test_any_text_becomes_a_name_that_would_be_taken(text: str) -> None:
    assert fault_of_name(safe_name(text)) is None


def test_a_long_name_keeps_its_extension() -> None:
    name = safe_name("x" * 5000 + ".mp4")
    assert len(name) == LONGEST_NAME
    assert name.endswith("x.mp4")


def test_names_in_one_archive_differ_also_where_case_does_not_count() -> None:
    names = list(unique_names(["a.mp4", "A.mp4", "a (2).mp4", "../a.mp4", "b", "b"]))
    assert names[:2] == ["a.mp4", "A (2).mp4"]
    assert len({name.casefold() for name in names}) == len(names)
    assert all("/" not in name for name in names)
