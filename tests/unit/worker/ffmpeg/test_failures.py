"""What FFmpeg's last words mean; each text was seen from FFmpeg 9.0.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import ToolFailed, job_error_codes
from worker.ffmpeg import failure_of
from worker.ffmpeg.failures import scrubbed
from worker.process.limits import Finished, ProcessEnd

FOLDER = Path("/var/lib/jobs/abc")


def finished(
    stderr: str = "", returncode: int = 1, end: ProcessEnd = ProcessEnd.EXITED
) -> Finished:
    return Finished(end, returncode, stderr, 1.0, 1.0, 1)


SEEN = [
    ("[in#0] moov atom not found\nInvalid data found when processing input", "corrupt_media"),
    ("Format not on whitelist 'mov,mp4'\nError opening input: Invalid argument", "not_media"),
    ("Stream specifier ':a:0' in filtergraph description matches no streams.", "no_such_stream"),
    ("Decoding requested, but no decoder found for: none", "no_such_stream"),
    ("Error writing trailer: No space left on device", "storage_full"),
    ("[out#0/mp4] Error writing trailer: File too large", "too_large"),
    ("[h264] picture size 20000x20000 exceeds specified max pixel count 1", "too_large"),
    ("Error while filtering: Cannot allocate memory", "memory_exceeded"),
    ("[in#0/mov,mp4] Error during demuxing: Cannot allocate memory", "corrupt_media"),
    ("pthread_create() failed\nCould not open encoder before EOF", "tool_failed"),
    ("Error encoding frame: Memory allocation error", "memory_exceeded"),
    ("Error while opening decoder: Resource temporarily unavailable", "tool_failed"),
    ("Error while opening encoder - maybe incorrect parameters\nNothing was", "tool_failed"),
    ("Could not open encoder before EOF\nNothing was written into", "range_outside_media"),
    ("Error opening input: No such file or directory", "tool_failed"),
    ("", "tool_failed"),
]


@pytest.mark.parametrize(("words", "code"), SEEN)
def test_last_words_are_understood(words: str, code: str) -> None:
    found = failure_of(finished(words), FOLDER)

    assert type(found) is job_error_codes()[code]


@pytest.mark.parametrize("told", ["std::bad_alloc", "No space left on device", "File too large"])
@pytest.mark.parametrize(
    "words", ["Unsafe file name '{}'", 'of "{}"', "Failed to open http://h/{}"]
)
def test_what_a_file_says_is_not_taken_for_a_word_of_ffmpeg(words: str, told: str) -> None:
    if "://" in words:
        told = "std::bad_alloc"  # an address has no spaces
    found = failure_of(finished(words.format(told)), FOLDER)

    assert type(found) is ToolFailed


def test_damage_that_leaves_nothing_to_encode_is_damage() -> None:
    words = "Invalid data found when processing input\nNothing was written into output file"

    found = failure_of(finished(words), FOLDER)

    assert found is not None
    assert found.code == "corrupt_media"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ProcessEnd.DEADLINE, "deadline_exceeded"),
        (ProcessEnd.STALLED, "deadline_exceeded"),
        (ProcessEnd.MEMORY, "memory_exceeded"),
        (ProcessEnd.PROCESSES, "tool_failed"),
        (ProcessEnd.DISK, "storage_full"),
    ],
)
def test_a_limit_that_was_reached_is_the_reason_whatever_was_said(
    end: ProcessEnd, code: str
) -> None:
    found = failure_of(finished("Invalid data found", -15, end), FOLDER)

    assert found is not None
    assert found.code == code


@pytest.mark.parametrize("end", [ProcessEnd.CANCELLED, ProcessEnd.SHUTDOWN, ProcessEnd.LOST])
def test_a_process_that_was_stopped_on_purpose_has_not_failed(end: ProcessEnd) -> None:
    assert failure_of(finished("x", -15, end), FOLDER) is None


def test_a_process_that_ended_well_has_not_failed_whatever_it_said() -> None:
    assert failure_of(finished("[h264] error while decoding MB 0 7", 0), FOLDER) is None


def test_a_file_that_reached_its_size_limit_is_too_large() -> None:
    found = failure_of(finished(returncode=-25), FOLDER)

    assert found is not None
    assert found.code == "too_large"


def test_a_killed_process_says_by_which_signal() -> None:
    found = failure_of(finished(returncode=-9), FOLDER)

    assert isinstance(found, ToolFailed)
    assert "signal 9" in found.message


def test_last_words_tell_no_path_query_or_user() -> None:
    words = (
        f"Error opening file:{FOLDER}/source.mp4 and {FOLDER}/clip.mp4 in {FOLDER}\n"
        "file:/home/someone/secret/x.mp4: '/etc/passwd' /opt/venv/lib/ffmpeg: gone\n"
        "https://user:word@example.org/a/b.mp4?token=abc#d"
    )

    text = scrubbed(words, FOLDER)

    for secret in (
        str(FOLDER),
        "home",
        "secret",
        "passwd",
        "venv",
        "token",
        "abc",
        "user",
        "word@",
    ):
        assert secret not in text
    assert "source.mp4" in text
    assert "example.org/a/b.mp4" in text


def test_last_words_stay_readable() -> None:
    words = "[fc#0] settb=1/90000 yuv420p/yuv444p 30000/1001 fps"

    assert scrubbed(words, FOLDER) == words
