from __future__ import annotations

import socket
from datetime import date
from pathlib import Path

import pytest

from clipmill.local import doctor
from clipmill.local.doctor import (
    age_of_version,
    check_broker,
    check_disk,
    check_folder,
    check_keys,
    check_memory,
    check_port,
)
from clipmill.local.keys import make_key
from config.settings import Settings, load_settings
from config.values import MIB


def settings(folder: Path, **values: object) -> Settings:
    given = {"DATA_DIR": folder / "not" / "yet", **values}
    return load_settings({f"CLIPMILL_{name}": str(value) for name, value in given.items()})


def test_the_age_of_a_tool_is_read_from_its_version() -> None:
    assert age_of_version("2026.08.19", date(2026, 8, 29)) == 10
    assert age_of_version("2026.8.19", date(2026, 8, 19)) == 0
    assert age_of_version("nightly", date(2026, 8, 19)) is None


def test_a_folder_that_is_not_there_yet_is_not_made_by_looking(tmp_path: Path) -> None:
    assert check_folder(settings(tmp_path)).level == "ok"
    assert check_disk(settings(tmp_path)).level in ("ok", "warn")
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    finding = check_disk(settings(tmp_path, MIN_FREE_DISK="1000T"))
    assert finding.level == "fail"
    assert "CLIPMILL_DATA_DIR" in finding.remedy


def test_a_budget_above_the_memory_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    finding = check_memory(settings(tmp_path, MEMORY_BUDGET="1000T"))
    assert finding.level == "fail"
    assert "CLIPMILL_MEMORY_BUDGET" in finding.remedy


def test_a_budget_that_leaves_nothing_for_the_rest_is_told_what_fits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "memory_limit_bytes", lambda: 512 * MIB)
    alone = {"REDIS_URL": "redis://store"}
    assert check_memory(settings(tmp_path, MEMORY_BUDGET="340MiB")).level == "ok"
    assert check_memory(settings(tmp_path, MEMORY_BUDGET="388MiB", **alone)).level == "ok"
    finding = check_memory(settings(tmp_path, MEMORY_BUDGET="400MiB"))
    assert finding.level == "warn"
    assert "340MiB" in finding.remedy
    monkeypatch.setattr(doctor, "memory_limit_bytes", lambda: 200 * MIB)
    finding = check_memory(settings(tmp_path, MEMORY_BUDGET="64MiB"))
    assert finding.level == "fail"
    assert "too little" in finding.remedy


def test_a_port_that_another_program_has_is_a_failure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.close()
        assert check_port(settings(tmp_path, PORT=port)).level == "ok"
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        assert check_port(settings(tmp_path, PORT=deaf.getsockname()[1])).level == "fail"


def test_a_broker_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        assert check_broker(settings(tmp_path, REDIS_URL=url), {}).level == "fail"
    missing = settings(tmp_path, REDIS_URL=f"unix://{tmp_path}/missing.sock")
    assert check_broker(missing, {}).level == "fail"
    with socket.create_server(("127.0.0.1", 0)) as there:
        records = f"redis://127.0.0.1:{there.getsockname()[1]}"
        assert check_broker(settings(tmp_path, REDIS_URL=records), {}).level == "ok"
        both = settings(tmp_path, REDIS_URL=records, BROKER_URL=url)
        assert "CLIPMILL_BROKER_URL" in check_broker(both, {}).remedy


def test_a_key_file_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    with_keys = settings(tmp_path, API_KEYS_FILE=path)
    assert check_keys(with_keys).level in ("warn", "fail")
    make_key(path, "ann", ("read",))
    assert check_keys(with_keys).level == "ok"
    path.chmod(0o644)
    assert check_keys(with_keys).level == "warn"
    path.write_text("nonsense\n")
    assert check_keys(with_keys).level == "fail"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_kinds_of_loopback_can_be_looked_at(tmp_path: Path, host: str) -> None:
    assert check_port(settings(tmp_path, HOST=host, PORT=0)).name == "port"
