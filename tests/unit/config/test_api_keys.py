"""One line of the key file: what is written is what is read."""

from __future__ import annotations

import pytest

from config.api_keys import KeyLine, numbered_keys

DIGEST = "ab" * 32


def test_a_line_that_was_written_is_read_as_it_was() -> None:
    line = KeyLine("ann", ("read", "submit"), DIGEST)
    assert KeyLine.parse(str(line)) == line
    assert KeyLine.parse(f"  ann:read, submit:{DIGEST}\n") == line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ann:read", "is not name:scopes"),
        (f"ann:read:{DIGEST}:more", "not a JSON object"),
        (f"ann:read:{DIGEST}:[]", "not a JSON object"),
        (f'ann:read:{DIGEST}:{{"speed": 1}}', "speed is not known"),
        (f'ann:read:{DIGEST}:{{"old": {{"sha256": "{DIGEST}"}}}}', "form of a key"),
        (f'ann:read:{DIGEST}:{{"networks": ["10.0.0.1/8"]}}', "not a list of networks"),
        (f"an n:read:{DIGEST}", "the name"),
        (f"local:read:{DIGEST}", "the name"),
        (f"ann:all:{DIGEST}", "the scopes"),
        (f"ann::{DIGEST}", "the scopes"),
        (f"ann:read:{DIGEST.upper()}", "the hash"),
    ],
)
def test_a_line_with_a_fault_says_which(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        KeyLine.parse(text)
    assert DIGEST not in str(caught.value)


def test_blank_lines_and_comments_hold_no_key_and_count_as_lines() -> None:
    assert list(numbered_keys("# ours\n\n  # more\na\n \nb")) == [(4, "a"), (6, "b")]
