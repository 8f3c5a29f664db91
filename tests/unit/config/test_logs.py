"""A log line is one JSON object that says of which job, kind and attempt it speaks."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.logs import configure_logging, log_context

log = logging.getLogger("clipmill.test")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged so far, read as JSON."""
    stream = io.StringIO()
    handlers, level = logging.root.handlers[:], logging.root.level
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("json", "info")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_a_line_carries_job_kind_and_attempt(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with log_context(job="j1", kind="clip"), log_context(attempt=2):
        log.info("started", extra={"values": {"code": "x"}})
    log.info("outside")
    inside, outside = lines()
    assert inside.items() >= {
        "job": "j1", "kind": "clip", "attempt": 2, "code": "x", "message": "started",
        "level": "info", "logger": "clipmill.test",
    }.items()  # fmt: skip
    assert inside["time"].endswith("+00:00")
    assert "job" not in outside


def test_threads_do_not_share_their_context(lines: Callable[[], list[dict[str, Any]]]) -> None:
    met = threading.Barrier(2)

    def work(job: str) -> None:
        with log_context(job=job):
            met.wait(5)
            log.info(job)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["job"] == line["message"] for line in lines()] == [True, True]


def test_no_text_can_forge_a_line(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info('evil\n{"level": "info"}\r\u2028 \x00')
    with log_context(job="a\nb"):
        log.info("x")
    assert len(lines()) == 2


def test_an_exception_is_in_the_line(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        log.exception("failed")
    (line,) = lines()
    assert "ValueError: wrong" in line["exception"]


def test_what_is_below_the_level_is_not_logged(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.debug("no")
    logging.getLogger("kombu.x").info("no")
    assert lines() == []


def test_a_terminal_gets_text_with_the_context_behind(
    lines: Callable[[], list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    logging.root.handlers[0].stream = stream  # type: ignore[attr-defined]
    configure_logging("text", "debug")
    logging.root.handlers[0].setStream(stream)  # type: ignore[attr-defined]
    with log_context(job="j1"):
        log.debug("hello")
    assert stream.getvalue().endswith("DEBUG   hello job=j1\n")
