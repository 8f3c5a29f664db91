from __future__ import annotations

import io

import pytest
from rich.console import Console

from clipmill.client.answers import Job
from clipmill.terminal.screen import BarScreen, LineScreen, doing, open_screen


def job(state: str, **more: object) -> Job:
    return Job.read({"id": "j1", "kind": "clip", "state": state, **more})


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (job("queued"), "queued"),
        (job("queued", wait_reason="memory"), "waits for memory"),
        (job("running", phase="cutting", speed=2.04, eta_seconds=3.0), "cutting · 2.0x · 3 s left"),
        (job("failed", error={"code": "not_media", "message": "No"}), "failed: No (not_media)"),
        (job("succeeded"), "succeeded"),
    ],
)
def test_what_a_job_does_is_said_in_a_few_words(shown: Job, text: str) -> None:
    assert doing(shown) == text


def test_a_log_gets_a_line_only_when_something_changed() -> None:
    console = Console(file=io.StringIO(), width=100)
    with LineScreen(console) as screen:
        for progress in (0.1, 0.2, 0.3):
            screen.show([job("running", phase="cutting", progress=progress)])
        screen.show([job("succeeded")])
    assert console.file.getvalue().splitlines() == ["clip  1  cutting", "clip  1  succeeded"]


def test_a_terminal_shows_bars_and_a_log_shows_lines() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    with open_screen(terminal) as screen:
        assert isinstance(screen, BarScreen)
        screen.show([job("running", progress=0.5), job("succeeded")])
    assert "1 of 2 done" in terminal.file.getvalue()
    assert isinstance(open_screen(Console(file=io.StringIO())), LineScreen)


def test_a_large_batch_is_one_line_at_a_terminal() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    with open_screen(terminal) as screen:
        screen.show([Job.read({"id": str(n), "kind": "clip", "state": "queued"}) for n in range(9)])
        few = terminal.file.getvalue().count("clip")
        screen.show(
            [Job.read({"id": f"x{n}", "kind": "clip", "state": "queued"}) for n in range(99)]
        )
    assert few >= 9
    assert "0 of 99 done" in terminal.file.getvalue()
    assert "clip 99" not in terminal.file.getvalue()
