"""How jobs are shown while they run: rows with bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from clipmill.client.answers import Job

MOST_ROWS = 20  # for a larger batch only the sum is shown
COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}


class Screen(Protocol):
    """Shows the present state of jobs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, jobs: Sequence[Job]) -> None: ...


def open_screen(console: Console) -> Screen:
    return BarScreen(console) if console.is_terminal else LineScreen(console)


class BarScreen:
    """One row with a bar for each job, and one for their sum."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[doing]}"),
            console=console,
        )
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, jobs: Sequence[Job]) -> None:
        if len(jobs) <= MOST_ROWS:
            for number, job in enumerate(jobs, start=1):
                colour = COLOURS.get(job.state, "dim")
                share = 1.0 if job.succeeded else job.progress
                self._row(job.id, f"{job.kind} {number:2}", share, f"[{colour}]{doing(job)}")
        if len(jobs) > 1:
            share = sum(1.0 if job.is_final else job.progress for job in jobs) / len(jobs)
            self._row("", "all", share, tally(jobs))
        self._progress.refresh()

    def _row(self, key: str, title: str, share: float, text: str) -> None:
        if key not in self._rows:
            self._rows[key] = self._progress.add_task(title, total=1.0, doing="")
        self._progress.update(self._rows[key], completed=share, doing=text)


class LineScreen:
    """One line for each change of a job's state or phase; fit for a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, tuple[str, str | None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return

    def show(self, jobs: Sequence[Job]) -> None:
        for number, job in enumerate(jobs, start=1):
            now = (job.state, job.phase)
            if self._said.get(job.id) == now:
                continue
            self._said[job.id] = now
            behind = f"  ({tally(jobs)})" if len(jobs) > 1 and job.is_final else ""
            self._console.print(f"{job.kind} {number:2}  {doing(job)}{behind}", markup=False)


def doing(job: Job) -> str:
    """What the job does now, in a few words."""
    if job.error:
        return f"{job.state}: {job.error.message} ({job.error.code})"
    if job.state == "queued":
        return f"waits for {job.wait_reason}" if job.wait_reason else "queued"
    if job.state != "running":
        return job.state
    parts = [job.phase or "running"]
    if job.speed:
        parts.append(f"{job.speed:.1f}x")
    if job.eta_seconds:
        parts.append(f"{job.eta_seconds:.0f} s left")
    return " · ".join(parts)


def tally(jobs: Sequence[Job]) -> str:
    """How many jobs are done, and how many of these did not succeed."""
    done = [job for job in jobs if job.is_final]
    bad = sum(not job.succeeded for job in done)
    return f"{len(done)} of {len(jobs)} done" + (f", {bad} not succeeded" if bad else "")


def describe(job: Job) -> str:
    """One line of a list of jobs."""
    return f"{job.id}  {job.kind:8}  {job.progress:4.0%}  {job.created_at:24}  {doing(job)}"
