"""The lines between the worker and a media program."""

import errno
import json
import sys

import av
import pytest

from worker.pyav import protocol, serving
from worker.pyav.protocol import Progress, ProgressReporter, Refusal, Result, parse_line


def test_the_three_kinds_of_line_are_read():
    assert parse_line('{"progress": 0.5, "speed": 2}') == Progress(0.5, 2)
    assert parse_line('{"result": {"a": 1}}') == Result({"a": 1})
    assert parse_line('{"error": {"code": "not_media", "message": "m"}}') == Refusal(
        "not_media", "m"
    )


@pytest.mark.parametrize(
    "line", ["", "Svt[info]: hello", "[]", "3", '{"other": 1}', '{"result": 3}']
)
def test_any_other_line_is_nothing(line):
    assert parse_line(line) is None


def test_a_spec_is_one_argument_of_json():
    assert json.loads(protocol.encode_spec({"source": "/a b", "start": 1.5})) == {
        "source": "/a b",
        "start": 1.5,
    }


def test_progress_is_said_at_most_four_times_a_second(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(protocol.time, "monotonic", lambda: now[0])
    said: list[dict[str, float]] = []
    reporter = ProgressReporter(10.0, lambda values: said.append(dict(values)))
    for step in range(101):
        now[0] = step / 100
        reporter.at(step / 10)
    assert [values["progress"] for values in said] == [0.25, 0.5, 0.75, 1.0]
    assert all(values["speed"] == 10.0 for values in said)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "memory_exceeded"),
        (av.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "tool_failed"),
        (OSError(errno.EFBIG, ""), "too_large"),
        (OSError(errno.ENOSPC, ""), "storage_full"),
        (av.FFmpegError(errno.ENOMEM, "Cannot allocate memory"), "memory_exceeded"),
        (av.PermissionError(errno.EPERM, "Operation not permitted"), "corrupt_media"),
        (av.InvalidDataError(1094995529, "Invalid data"), "corrupt_media"),
    ],
)
def test_what_this_machine_or_the_file_lacks_has_a_code_of_its_own(
    monkeypatch, capsys, error, code
):
    def program(spec):
        raise error

    monkeypatch.setattr(sys, "argv", ["program", "{}"])
    serving.serve(program)
    found = parse_line(capsys.readouterr().out)
    assert isinstance(found, Refusal)
    assert found.code == code
