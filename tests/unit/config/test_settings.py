"""Every setting is read, checked and explained; all faults come together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from config import settings as settings_module
from config.settings import (
    PREFIX,
    Settings,
    SettingsError,
    is_loopback,
    load_settings,
    process_environment,
)

EXAMPLE = Path(__file__).parents[3] / "config" / "example.env"
MIB = 1024**2


def faults_of(kinds: Sequence[str] = (), **values: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings({PREFIX + name: value for name, value in values.items()}, kinds=kinds)
    return caught.value.faults


def test_with_nothing_set_everything_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "memory_limit_bytes", lambda: 2**40)
    settings = load_settings({})
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 8000, None)
    assert settings.data_dir == Path("data").resolve()
    assert settings.storage_url == (settings.data_dir / "artifacts").as_uri()
    assert settings.memory_budget_bytes == 512 * MIB
    assert settings.worker_concurrency >= 4
    assert (settings.allowed_networks, settings.api_keys_file) == ((), None)
    assert not settings.auth_required


def test_all_queues_are_all_the_kinds_that_there_are() -> None:
    kinds = ("paint", "frame")
    assert load_settings({}, kinds=kinds).queues == kinds
    assert load_settings({PREFIX + "QUEUES": "frame"}, kinds=kinds).queues == ("frame",)
    (fault,) = faults_of(kinds, QUEUES="frame,pant")
    assert fault == "CLIPMILL_QUEUES='frame,pant' is not `all` or a list of paint, frame"


def test_who_does_not_know_the_kinds_leaves_them_as_they_are_written() -> None:
    assert load_settings({}).queues == ("all",)
    assert load_settings({PREFIX + "QUEUES": "frame, pant"}).queues == ("frame", "pant")
    assert faults_of(QUEUES=",")
    assert faults_of(QUEUES="all,frame")


def test_an_empty_value_is_no_value() -> None:
    assert load_settings({PREFIX + "PORT": " ", PREFIX + "REDIS_URL": ""}) == load_settings({})


def test_messages_go_to_the_records_server_unless_they_have_one_of_their_own() -> None:
    records, messages = "redis://records:6379/0", "redis://messages:6379/0"
    assert load_settings({PREFIX + "REDIS_URL": records}).broker_url == records
    both = {PREFIX + "REDIS_URL": records, PREFIX + "BROKER_URL": messages}
    assert (load_settings(both).redis_url, load_settings(both).broker_url) == (records, messages)
    assert faults_of(BROKER_URL="amqp://messages")


def test_the_example_file_holds_every_setting_with_its_default_and_meaning() -> None:
    blocks = EXAMPLE.read_text().strip().split("\n\n")[1:]
    assert blocks == [
        f"# {item.metadata['help']}\n{PREFIX}{item.metadata['name']}={item.metadata['default']}"
        for item in fields(Settings)
    ]


def test_the_example_file_as_it_is_changes_nothing() -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] != "#"]
    assert load_settings(dict(line.split("=", 1) for line in lines)) == load_settings({})


def test_all_faults_are_told_together() -> None:
    faults = faults_of(
        PORT="70000", MEMORY_BUDGET="lots", MAX_DURATION_SECONDS="1 year", QUEUES="clip,paint",
        REDIS_URL="http://x", LOG_LEVEL="loud", HOST="0.0.0.0", ALLOWED_NETWORKS="10.0.0.1/8",
        WORKER_CONCURRENCY="0", INSECURE_NO_AUTH="maybe", STORAGE_URL="ftp://x", PROT="1",
        kinds=("extract", "clip"),
    )  # fmt: skip
    assert [fault.split("=")[0].split()[0] for fault in faults] == [
        "CLIPMILL_PROT", "CLIPMILL_PORT", "CLIPMILL_REDIS_URL", "CLIPMILL_STORAGE_URL",
        "CLIPMILL_MEMORY_BUDGET", "CLIPMILL_WORKER_CONCURRENCY", "CLIPMILL_ALLOWED_NETWORKS",
        "CLIPMILL_INSECURE_NO_AUTH", "CLIPMILL_MAX_DURATION_SECONDS",
        "CLIPMILL_LOG_LEVEL", "CLIPMILL_QUEUES", "CLIPMILL_HOST",
    ]  # fmt: skip


def test_a_misspelt_name_is_a_fault_and_others_names_are_not() -> None:
    assert faults_of(MEMORY_BUGDET="1GiB") == [
        "CLIPMILL_MEMORY_BUGDET is not a setting of Clipmill"
    ]
    load_settings({"CLIPMILL_API_URL": "http://x", "CLIPMILL_API_KEY": "k", "PATH": "/bin"})


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting() -> None:
    injected = {
        "CLIPMILL_PORT": "tcp://10.96.0.7:8000",
        "CLIPMILL_SERVICE_HOST": "10.96.0.7",
        "CLIPMILL_SERVICE_PORT": "8000",
        "CLIPMILL_SERVICE_PORT_HTTP": "8000",
        "CLIPMILL_PORT_8000_TCP": "tcp://10.96.0.7:8000",
        "CLIPMILL_PORT_8000_TCP_PROTO": "tcp",
        "CLIPMILL_PORT_8000_TCP_PORT": "8000",
        "CLIPMILL_PORT_8000_TCP_ADDR": "10.96.0.7",
        "CLIPMILL_API_PORT": "tcp://10.96.0.8:80",
        "CLIPMILL_REDIS_SERVICE_HOST": "10.96.0.9",
    }
    assert load_settings(injected) == load_settings({})
    assert faults_of(API_PORT="8000") == ["CLIPMILL_API_PORT is not a setting of Clipmill"]
    assert "is not a port" in faults_of(PORT="http://10.96.0.7:8000")[0]


def test_logs_are_text_on_a_terminal_and_json_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings({}).log_format == "json"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert load_settings({}).log_format == "text"
    assert load_settings({PREFIX + "LOG_FORMAT": "json"}).log_format == "json"


def test_no_password_reaches_the_message() -> None:
    (fault,) = faults_of(REDIS_URL="redsi://me:se/cr@et@host:1")
    assert "cr" not in fault.split(" is not ")[0].removeprefix("CLIPMILL_REDIS_URL")
    assert "host:1" in fault


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("512MiB", 512 * MIB), ("10G", 10 * 1024**3), ("10GB", 10**10), ("1kb", 1000),
        ("1K", 1024), (" 1.5 kib ", 1536), ("2T", 2 * 1024**4), ("7B", 7),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert load_settings({PREFIX + "MAX_UPLOAD_BYTES": text}).max_upload_bytes == size


@pytest.mark.parametrize(
    "text",
    ["-1", "0", "0MiB", "1e9", "MiB", "1X", "5i", "5iB", "1 2", "٣", "²", "nan", "inf", "9" * 400,
     "99999T", "1,5G", "0x10"],
)  # fmt: skip
def test_what_is_no_size(text: str) -> None:
    (fault,) = faults_of(MAX_UPLOAD_BYTES=text)
    assert fault.startswith("CLIPMILL_MAX_UPLOAD_BYTES=")


def test_the_free_disk_space_may_be_nothing() -> None:
    assert load_settings({PREFIX + "MIN_FREE_DISK": "0"}).min_free_disk_bytes == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), ("0.5 H", 1800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert load_settings({PREFIX + "JOB_DEADLINE": text}).job_deadline_seconds == seconds


@pytest.mark.parametrize("text", ["0", "-1s", "1y", "1h30m", "inf", "nan", "soon", "9" * 400])
def test_what_is_no_duration(text: str) -> None:
    (fault,) = faults_of(JOB_DEADLINE=text)
    assert fault.startswith("CLIPMILL_JOB_DEADLINE=")


@pytest.mark.parametrize("text", ["-1", "65536", "http", "80 81", "²", "9" * 5000])
def test_what_is_no_port(text: str) -> None:
    assert len(faults_of(PORT=text)) == 1


def test_networks_are_a_list() -> None:
    settings = load_settings({PREFIX + "ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8 ,192.168.1.7"})
    assert settings.allowed_networks == (
        ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.168.1.7/32"),
    )  # fmt: skip


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_without_keys_we_answer_on_loopback(host: str) -> None:
    assert is_loopback(host)
    assert load_settings({PREFIX + "HOST": host}).host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.1", "203.0.113.9", "example.org", "localhost.evil.example"]
)
def test_without_keys_we_answer_nowhere_else(host: str) -> None:
    (fault,) = faults_of(HOST=host)
    assert "clipmill keys new" in fault
    assert load_settings({PREFIX + "HOST": host, PREFIX + "INSECURE_NO_AUTH": "yes"}).host == host
    keys = {PREFIX + "HOST": host, PREFIX + "API_KEYS_FILE": "/keys"}
    assert load_settings(keys).auth_required


WORKER_ALONE = {PREFIX + "REDIS_URL": "redis://store"}


@pytest.mark.parametrize(
    ("limit", "of_the_stack", "of_a_worker"),
    [(256, 84, 132), (512, 340, 388), (1024, 512, 512)],
)
def test_the_budget_is_what_the_limit_leaves_beside_all_else(
    monkeypatch: pytest.MonkeyPatch, limit: int, of_the_stack: int, of_a_worker: int
) -> None:
    monkeypatch.setattr(settings_module, "memory_limit_bytes", lambda: limit * MIB)
    assert load_settings({}).memory_budget_bytes == of_the_stack * MIB
    assert load_settings(WORKER_ALONE).memory_budget_bytes == of_a_worker * MIB
    assert load_settings({PREFIX + "MEMORY_BUDGET": "2GiB"}).memory_budget_bytes == 2048 * MIB


def test_a_container_too_small_for_any_tool_is_told_to_who_runs_tools_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings_module, "memory_limit_bytes", lambda: 150 * MIB)
    settings = load_settings(WORKER_ALONE)  # the API is content
    with pytest.raises(SettingsError, match="150 MiB of memory are too little"):
        settings.require_budget()
    load_settings({PREFIX + "MEMORY_BUDGET": "64MiB"}).require_budget()
    assert "64MiB" in faults_of(MEMORY_BUDGET="63MiB")[0]


def test_a_childs_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPMILL_TEST_ONLY", "1")
    copy = process_environment()
    copy["CLIPMILL_TEST_ONLY"] = "2"
    assert process_environment()["CLIPMILL_TEST_ONLY"] == "1"
