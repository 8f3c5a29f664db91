from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from clipmill.stack import services
from clipmill.stack.service import LONGEST_PAUSE_SECONDS, Running, Service, pause_seconds
from clipmill.stack.supervisor import StackError
from clipmill.stack.valkey import fits_a_socket
from config.memory import STACK_BYTES
from config.settings import load_settings
from config.values import MIB


def test_the_pause_doubles_up_to_a_bound() -> None:
    assert [pause_seconds(deaths) for deaths in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert pause_seconds(10_000) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    ("folder", "fits"),
    [
        ("/data/broker", True),
        ("/data/my videos", False),
        ("/data/ü", False),
        ("/" + "x" * 95, False),
    ],
)
def test_a_socket_needs_a_short_and_plain_path(folder: str, fits: bool) -> None:
    assert fits_a_socket(Path(folder)) is fits


def test_a_machine_too_small_for_any_tool_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(services, "memory_limit_bytes", lambda: STACK_BYTES + 63 * MIB)
    environ = {"CLIPMILL_DATA_DIR": str(tmp_path)}
    with (
        pytest.raises(StackError, match="235 MiB of memory are too little: 172 MiB"),
        services.running_stack(load_settings(environ), environ),
    ):
        raise AssertionError("it must not start")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(services, "memory_limit_bytes", lambda: STACK_BYTES + 64 * MIB)
    assert services.stack_budget_bytes() == 64 * MIB


class SlowChild:
    """Ends some looks after it was asked."""

    pid = 1

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def ask_to_stop(self) -> None: ...

    def wait(self, seconds: float) -> bool:
        self.looks -= 1
        return self.looks <= 0

    def has_ended(self) -> bool:
        return self.looks <= 0

    def end(self) -> int:
        return 0


def test_what_a_stop_waits_for_is_said_each_second(caplog: pytest.LogCaptureFixture) -> None:
    running = Running(Service("worker", Mock(), Mock(), 25.0), Mock())
    running.child = SlowChild(3)  # type: ignore[assignment]
    with caplog.at_level("INFO"):
        running.stop()
    assert caplog.messages == [
        "waiting for the worker: 1 s of 25 s",
        "waiting for the worker: 2 s of 25 s",
    ]


def test_a_service_that_does_not_stop_in_its_time_is_killed_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = Running(Service("worker", Mock(), Mock(), 2.5), Mock())
    running.child = SlowChild(100)  # type: ignore[assignment]
    running.stop()
    assert caplog.messages[-1] == "worker did not stop within 2.5 s: killed"
    assert running.child is None
