from __future__ import annotations

import hashlib
import json
import re
import time
from ipaddress import ip_network
from pathlib import Path

import pytest

from clipmill.local.keys import (
    PREFIX,
    KeyRefused,
    change_key,
    checksum,
    make_key,
    read_keys,
    revoke_key,
    rotate_key,
)
from config.api_keys import KeyLimits
from web.http.api_keys import parse_keys


def test_the_file_holds_the_hash_and_never_the_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = make_key(path, "ann", ("read", "submit"))
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert path.read_text() == f"ann:read,submit:{digest}\n"


def test_a_key_is_recognised_by_its_beginning_and_its_end(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "ann", ("read",))
    assert re.fullmatch(r"clipmill_[0-9A-Za-z]{49}", key)
    assert checksum(key[:-6]) == key[-6:]
    assert checksum(PREFIX + "x" + key[10:-6]) != key[-6:]


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


def test_revoking_a_key_keeps_the_others_and_the_comments(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\n")
    make_key(path, "ann", ("read",))
    make_key(path, "bob", ("read",))
    revoke_key(path, "ann")
    assert path.read_text().startswith("# ours\nbob:")
    assert [line.name for line in read_keys(path)] == ["bob"]
    with pytest.raises(KeyRefused):
        revoke_key(path, "ann")


def test_a_line_that_the_api_would_refuse_is_named_here_too(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make_key(path, "ann", ("read",))
    path.write_text(f"{path.read_text()}bob:everything:{'0' * 64}\n")
    with pytest.raises(KeyRefused, match="line 2: the scopes"):
        read_keys(path)


def test_what_limits_a_key_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    limits = KeyLimits(requests_per_minute=30, running_jobs=2, media_seconds_per_day=60.5)
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    make_key(path, "ann", ("read",), limits=limits, networks=networks, expires_at=2e9)
    (known,) = parse_keys(path.read_text())
    assert (known.limits, known.networks, known.expires_at) == (limits, networks, 2e9)


@pytest.mark.parametrize("limit", [0, -1, "7", True])
def test_a_limit_that_is_no_number_is_refused(tmp_path: Path, limit: object) -> None:
    path = tmp_path / "keys"
    key = make_key(path, "ann", ("read",))
    assert key
    path.write_text(path.read_text().strip() + ':{"running_jobs": ' + json.dumps(limit) + "}")
    with pytest.raises(KeyRefused, match="running_jobs"):
        read_keys(path)


def test_a_rotated_key_has_a_new_secret_and_its_limits(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    old = make_key(path, "ann", ("read",), limits=KeyLimits(queued_jobs=3))
    new = rotate_key(path, "ann")
    assert [key.digest for key in parse_keys(path.read_text())] == [digest(new)]
    assert read_keys(path)[0].limits.queued_jobs == 3
    newest = rotate_key(path, "ann", 60)
    first, second = parse_keys(path.read_text())
    assert (first.digest, second.digest) == (digest(newest), digest(new))
    assert first.expires_at is None
    assert second.expires_at == pytest.approx(time.time() + 60, abs=5)
    assert old not in path.read_text()
    with pytest.raises(KeyRefused):
        rotate_key(path, "bob")


def test_a_changed_key_keeps_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = make_key(path, "ann", ("read",))
    change_key(path, "ann", scopes=("read", "submit"), limits=KeyLimits(running_jobs=1))
    (known,) = parse_keys(path.read_text())
    assert known.digest == digest(key)
    assert (known.scopes, known.limits.running_jobs) == ({"read", "submit"}, 1)
    with pytest.raises(KeyRefused):
        change_key(path, "bob", scopes=("read",))


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
