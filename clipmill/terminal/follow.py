"""Follows jobs to their end on a screen, and turns their final state into an exit status."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from clipmill.client import Client
from clipmill.client.answers import Batch, Job
from clipmill.terminal.fetching import fetch_files
from clipmill.terminal.screen import Screen, describe, open_screen
from clipmill.terminal.session import Session

LOOK_SECONDS = 0.5

Answer = TypeVar("Answer", Job, Batch)


def finish_job(session: Session, job_id: str, folder: Path | None = None) -> None:
    """Follow one job and print its final state; exit 1 unless the job succeeded.

    With a folder, its files are fetched.
    """
    job = _follow(session, lambda screen: follow_job(session.client, job_id, screen))
    files = [f"  {artifact.name}  {artifact.size_bytes} bytes" for artifact in job.artifacts]
    session.print("\n".join([describe(job), *files]), job.document)
    _exit_by(_fetched(session, [job], folder) and job.succeeded)


def finish_batch(session: Session, batch_id: str, folder: Path | None = None) -> None:
    """Follow a batch and print its final state; exit 1 unless every job succeeded.

    With a folder, the files of those that did are fetched.
    """
    batch = _follow(session, lambda screen: follow_batch(session.client, batch_id, screen))
    lines = [*map(describe, batch.jobs), f"{batch.id}  {batch.state}"]
    session.print("\n".join(lines), batch.document)
    _exit_by(_fetched(session, batch.jobs, folder) and batch.succeeded)


def follow_job(client: Client, job_id: str, screen: Screen | None) -> Job:
    """The job once it is final; its progress is shown until then."""
    while True:
        job = client.job(job_id)
        _show(screen, [job])
        if job.is_final:
            return job
        time.sleep(LOOK_SECONDS)


def follow_batch(client: Client, batch_id: str, screen: Screen | None) -> Batch:
    """The batch once all its jobs are final; its progress is shown until then."""
    while True:
        batch = client.batch(batch_id)
        _show(screen, batch.jobs)
        if batch.is_final:
            return batch
        time.sleep(LOOK_SECONDS)


def _follow(session: Session, work: Callable[[Screen | None], Answer]) -> Answer:
    if session.as_json:
        return work(None)
    with open_screen(Console(stderr=True)) as screen:
        return work(screen)


def _show(screen: Screen | None, jobs: Sequence[Job]) -> None:
    if screen:
        screen.show(jobs)


def _fetched(session: Session, jobs: Sequence[Job], folder: Path | None) -> bool:
    """Whether all files are in the folder, if there is one."""
    if folder is None:
        return True
    fetched = fetch_files(session, jobs, folder)
    session.print_text("\n".join(map(str, fetched.paths)))
    return not fetched.missing


def _exit_by(succeeded: bool) -> None:
    if not succeeded:
        sys.exit(1)
