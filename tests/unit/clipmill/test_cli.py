"""The command line without an API: its help, its usage errors, and an API that is not there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from clipmill.cli import main
from clipmill.commands.submit import resolve_source
from config.settings import load_settings


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def commands(group: click.Group, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        found.append((*above, name))
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += commands(command, (*above, name))
    return found


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_explains_itself_and_its_options(words: tuple[str, ...]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert result.output.startswith("Usage:")


def test_the_commands_are_those_that_are_promised() -> None:
    promised = {"up", "demo", "submit", "watch", "fetch", "jobs", "cancel", "keys", "doctor"}
    assert {words[0] for words in commands(main)} == promised | {"calibrate", "upgrade-tools"}


def test_what_runs_the_stack_holds_no_more_in_memory_than_it_needs() -> None:
    ask = """import sys
from clipmill.cli import main
from config.settings import load_settings
main(["up", "--help"], standalone_mode=False)
print({name.partition(".")[0] for name in sys.modules} & {"httpx2", "valkey", "rich"})"""
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    "words",
    [("submit", "clip", "u"), ("watch",), ("keys", "new"), ("nothing",), ("demo", "--mode", "x")],
    ids=" ".join,
)
def test_wrong_usage_is_exit_status_two(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_an_api_that_is_not_there_is_said_in_one_line() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        result = run("jobs", "--url", f"http://127.0.0.1:{deaf.getsockname()[1]}")
    assert result.exit_code == 1
    assert "does not answer" in result.output
    assert len(result.output.splitlines()) == 1


def test_a_url_that_is_none_is_said_in_one_line() -> None:
    for url in ("nonsense", "http://[", "ftp://x"):
        result = run("jobs", "--url", url)
        assert result.exit_code == 1, result.output
        assert len(result.output.splitlines()) == 1


def test_a_source_is_a_url_unless_it_names_a_job() -> None:
    assert resolve_source("https://x.test/v") == {"url": "https://x.test/v"}
    assert resolve_source("job:1") == {"job_id": "1"}
    assert resolve_source("upload:1") == {"upload_id": "1"}
    assert resolve_source(str(Path(__file__))) == Path(__file__)
    assert resolve_source(Path(__file__).as_uri()) == Path(__file__)


@pytest.mark.parametrize("kind", ["extract", "download", "clip"])
def test_a_file_that_cannot_be_used_is_refused_before_any_request(
    kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(b"x")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        api = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sources = ["no-such-file.mp4", str(tmp_path)]
        for source in sources if kind == "clip" else [*sources, str(file), file.as_uri()]:
            words = ("--start", "0", "--end", "1") if kind == "clip" else ()
            result = run("submit", kind, source, *words, "--url", api)
            assert result.exit_code == 2, result.output
            assert "SOURCE" in result.output
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_help_says_what_a_source_is() -> None:
    about = " ".join(run("submit", "--help").output.partition("Commands:")[0].split())
    assert "job:ID" in about
    assert "a file of this machine" in about


def test_a_batch_file_without_jobs_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    for text in ("{", "{}", '"jobs"', '{"jobs": {}}'):
        (tmp_path / "batch.json").write_text(text)
        assert run("submit", "batch", str(tmp_path / "batch.json")).exit_code == 1


def test_a_key_is_made_listed_changed_rotated_and_revoked(tmp_path: Path) -> None:
    file = ("--file", str(tmp_path / "keys"))
    made = json.loads(run("keys", "new", "ann", "--scope", "read", "--json", *file).output)
    assert made["key"].startswith("clipmill_")
    plain = {"name": "ann", "scopes": ["read"], "expires_at": None, "networks": [], "limits": {}}
    assert json.loads(run("keys", "list", "--json", *file).output) == [plain]
    assert run("keys", "new", "ann", *file).exit_code == 1
    limits = ("--bytes-per-day", "50GiB", "--requests-per-minute", "30", "--expires-in", "90d")
    changed = json.loads(run("keys", "change", "ann", *limits, "--json", *file).output)
    assert changed["limits"] == {"requests_per_minute": 30, "bytes_per_day": 50 * 2**30}
    assert "expires 20" in run("keys", "list", *file).output
    rotated = json.loads(run("keys", "rotate", "ann", "--json", *file).output)
    assert rotated["key"] != made["key"]
    assert rotated["limits"] == changed["limits"]
    revoked = run("keys", "revoke", "ann", "--json", *file)
    assert json.loads(revoked.output) == {"name": "ann", "revoked": True}
    assert run("keys", "list", *file).output == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ("--requests-per-minute", "0"), ("--bytes-per-day", "much"), ("--expires-in", "soon"),
        ("--networks", "here"), ("--scope", "all"), ("--running-jobs", "1.5"),
    ],
)  # fmt: skip
def test_a_limit_of_a_key_that_is_none_is_wrong_usage(
    tmp_path: Path, wrong: tuple[str, str]
) -> None:
    assert run("keys", "new", "ann", "--file", str(tmp_path / "k"), *wrong).exit_code == 2
    assert not (tmp_path / "k").exists()


def test_without_an_option_keys_are_kept_where_the_api_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).api_keys_file is None
    assert run("keys", "new", "ann").exit_code == 0
    assert load_settings({}).api_keys_file == tmp_path / "data" / "api-keys"
    assert load_settings({"CLIPMILL_HOST": "0.0.0.0"}).auth_required
    monkeypatch.setenv("CLIPMILL_DATA_DIR", str(tmp_path / "other"))
    assert run("keys", "list").output == ""
    monkeypatch.setenv("CLIPMILL_API_KEYS_FILE", str(tmp_path / "data" / "api-keys"))
    assert run("keys", "list").output.startswith("ann")


def test_up_names_every_fault_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPMILL_PORT", "many")
    monkeypatch.setenv("CLIPMILL_COLOUR", "red")
    result = run("up")
    assert result.exit_code == 1
    assert "CLIPMILL_PORT" in result.output
    assert "CLIPMILL_COLOUR" in result.output
