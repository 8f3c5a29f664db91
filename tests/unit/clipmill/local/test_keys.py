from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from clipmill.local.keys import KeyRefused, make_key, read_keys, remove_key
from web.http.api_keys import parse_keys


def test_the_file_holds_the_hash_and_never_the_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = make_key(path, "ann", ("read", "submit"))
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert path.read_text() == f"ann:read,submit:{digest}\n"
    assert key.startswith("cm_")
    assert len(key) >= 43


def test_the_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.touch(mode=0o644)
    make_key(path, "ann", ("read",))
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_api_reads_what_is_written_here(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = make_key(path, "ann", ("read", "admin"))
    (known,) = parse_keys(path.read_text())
    assert (known.name, known.scopes) == ("ann", {"read", "admin"})
    assert known.digest == hashlib.sha256(key.encode()).digest()


@pytest.mark.parametrize("name", ["", "a b", "a:b", "local", "x" * 65, "ä", "a\nb"])
def test_a_name_that_the_api_would_refuse_is_refused_here(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyRefused):
        make_key(tmp_path / "keys", name, ("read",))
    assert not (tmp_path / "keys").exists()


def test_a_name_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make_key(path, "ann", ("read",))
    with pytest.raises(KeyRefused):
        make_key(path, "ann", ("read",))


def test_removing_a_key_keeps_the_others_and_the_comments(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\n")
    make_key(path, "ann", ("read",))
    make_key(path, "bob", ("read",))
    remove_key(path, "ann")
    assert path.read_text().startswith("# ours\nbob:")
    assert [line.name for line in read_keys(path)] == ["bob"]
    with pytest.raises(KeyRefused):
        remove_key(path, "ann")


def test_a_line_that_the_api_would_refuse_is_named_here_too(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make_key(path, "ann", ("read",))
    path.write_text(f"{path.read_text()}bob:everything:{'0' * 64}\n")
    with pytest.raises(KeyRefused, match="line 2: the scopes"):
        read_keys(path)
