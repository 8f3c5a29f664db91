"""Texts of finished jobs come back as they were, and take little room."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from tasks.store.packing import _DICTIONARY, packed, packed_text, unpacked, unpacked_text


@pytest.mark.parametrize(
    "text", ["{}", '{"title":"naïve 😀 \\u0000"}', json.dumps({"a": "x" * 100_000}), '{"a":1}' * 9]
)
def test_a_text_comes_back(text: str) -> None:
    assert unpacked(packed(text.encode())) == text.encode()
    assert unpacked_text(packed_text(text).encode()) == text.encode()


def test_what_was_not_packed_is_left_as_it_is() -> None:
    assert unpacked(b'{"id":"x"}') == b'{"id":"x"}'
    assert unpacked_text(b'{"id":"x"}') == b'{"id":"x"}'


def test_the_dictionary_is_that_with_which_stored_texts_were_packed() -> None:
    """Another one could read none of them."""
    digest = "d38204c081edb0f45c4f7a8db235efb0d7f4e224103e46d88211f9116c0331c8"
    assert sha256(_DICTIONARY).hexdigest() == digest
