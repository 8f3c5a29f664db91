"""Reading JSON as every reader would."""

from __future__ import annotations

import pytest

from web.http.errors import MalformedJson
from web.http.json_body import parse_json


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"a": 1', b"{'a': 1}", b'{"a": 1,}', b"nul", b'{"a": 1} x', b"\xff\xfe",
        b'"\xc3\x28"', b'{"a": 1, "a": 2}', b'"\\ud800"', b'{"\\uDC00": 1}', b"[" * 100_000,
        b'{"a":' * 100_000, b"9" * 100_000, b"\xef\xbb\xbf{}",
        b"{" + b",".join(b'"%d":1' % number for number in range(101)) + b"}",
    ],
)  # fmt: skip
def test_what_readers_would_understand_differently_or_not_at_all_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_json(body)
    assert len(caught.value.message) < 300


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "😀"


def test_a_fault_says_where_it_is_and_repeats_nothing_of_the_body() -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_json(b'{"a": 1,\n "secret": nope}')
    assert "line 2" in caught.value.message
    assert "nope" not in caught.value.message
