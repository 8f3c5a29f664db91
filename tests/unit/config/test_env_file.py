"""Settings from `.env`, which the environment overrides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from clipmill.cli import main
from config.env_file import EnvFileError, take_settings_from


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stands for the environment of the process."""
    values: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", values)
    return values


def ours(environ: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("CLIPMILL_")}


def test_the_file_of_this_folder_is_read_and_the_environment_comes_first(
    folder: Path, environ: dict[str, str]
) -> None:
    text = (
        '# ours\nexport CLIPMILL_PORT=8001\nCLIPMILL_DATA_DIR="/srv/a b" # here\nCLIPMILL_HOST=\n'
    )
    (folder / ".env").write_text(text)
    environ["CLIPMILL_PORT"] = "9000"

    assert take_settings_from(None) == Path(".env")

    assert ours(environ) == {
        "CLIPMILL_PORT": "9000",
        "CLIPMILL_DATA_DIR": "/srv/a b",
        "CLIPMILL_HOST": "",
    }


def test_without_a_file_nothing_is_read(folder: Path, environ: dict[str, str]) -> None:
    assert take_settings_from(None) is None
    assert ours(environ) == {}


def test_other_programs_variables_are_left_alone(folder: Path, environ: dict[str, str]) -> None:
    (folder / ".env").write_text("PATH=/elsewhere\nCOMPOSE_FILE=x.yml\nCLIPMILL_PORT=8001\n")
    take_settings_from(None)
    assert ours(environ) == {"CLIPMILL_PORT": "8001"}


def test_only_a_file_that_was_named_says_where_a_key_is_sent(
    folder: Path, environ: dict[str, str]
) -> None:
    (folder / ".env").write_text("CLIPMILL_API_URL=http://evil.example\n")
    take_settings_from(None)
    assert ours(environ) == {}
    take_settings_from(folder / ".env")
    assert ours(environ) == {"CLIPMILL_API_URL": "http://evil.example"}


def test_a_broken_file_is_refused_by_line_and_its_secrets_are_not_quoted(
    folder: Path, environ: dict[str, str]
) -> None:
    (folder / "mine").write_text("CLIPMILL_PORT=1\n'hunter2\nCLIPMILL_HOST=x\n")
    with pytest.raises(EnvFileError, match="mine: line 2: not NAME=value") as caught:
        take_settings_from(folder / "mine")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_named_and_missing_is_an_error(
    folder: Path, environ: dict[str, str]
) -> None:
    done = CliRunner().invoke(main, ["--env-file", "nowhere", "doctor"])
    assert done.exit_code == 1
    assert done.output == "Error: nowhere cannot be read: No such file or directory\n"


def test_a_file_that_is_no_text_is_an_error(folder: Path, environ: dict[str, str]) -> None:
    (folder / ".env").write_bytes(b"CLIPMILL_PORT=\xff\xfe\n")
    with pytest.raises(EnvFileError, match="not UTF-8"):
        take_settings_from(None)
