"""Running the PyAV programs: starting one, reading its answer, and the job error of a crash."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tasks.errors import CorruptMedia, JobError, MemoryExceeded, ToolFailed, job_error_codes
from worker.process.limits import Finished, Limits
from worker.process.tools import ToolRunner, ended_error
from worker.process.tree import SIGKILL
from worker.pyav.protocol import Progress, Refusal, Result, encode_spec, parse_line

OnProgress = Callable[[Progress], None]
# The error texts of Python, the loader, FFmpeg's libraries and x264 when memory is refused.
_NO_MEMORY = re.compile(
    r"MemoryError|Cannot allocate memory|malloc of size \d+ failed|std::bad_alloc"
    r"|failed to map segment"
)


def run_program(
    tools: ToolRunner,
    name: str,
    spec: Mapping[str, Any],
    limits: Limits,
    on_progress: OnProgress = lambda progress: None,
) -> dict[str, Any]:
    """Run one of the PyAV programs (`worker.pyav.NAME`); returns its result. Raises a JobError."""
    answers: list[Result | Refusal] = []

    def on_line(line: str) -> None:
        message = parse_line(line)
        if isinstance(message, Progress):
            on_progress(message)
        elif message is not None:
            answers.append(message)

    argv = [sys.executable, "-m", f"worker.pyav.{name}", encode_spec(spec)]
    finished = tools.run(name.rpartition(".")[2], argv, limits, on_line)
    return _answer(finished, answers, tools.memory_bytes)


def _answer(
    finished: Finished, answers: list[Result | Refusal], memory_bytes: int
) -> dict[str, Any]:
    if answers and isinstance(answers[-1], Result):
        return answers[-1].values
    if (ended := ended_error(finished)) is not None:
        raise ended
    if finished.peak_bytes > memory_bytes or _NO_MEMORY.search(finished.stderr_tail):
        # Libraries report a damaged file when there is no memory for the next picture.
        raise MemoryExceeded("reading the media took more memory than allowed")
    if answers and isinstance(answers[-1], Refusal):
        raise job_error_codes()[answers[-1].code](answers[-1].message)
    raise _crashed(finished)


def _crashed(finished: Finished) -> JobError:
    """The error of a PyAV program that died without an answer: its libraries crashed."""
    if finished.returncode < 0 and finished.returncode != -SIGKILL:  # SIGKILL comes from outside
        return CorruptMedia("the media could not be read", {"signal": -finished.returncode})
    return ToolFailed("reading the media failed", {"returncode": finished.returncode})
