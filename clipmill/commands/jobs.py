"""`clipmill watch`, `fetch`, `jobs` and `cancel`: commands for jobs that exist."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from clipmill.client import Client
from clipmill.client.answers import Batch, Job
from clipmill.client.errors import ApiProblem
from clipmill.terminal.fetching import fetch_files
from clipmill.terminal.follow import finish_batch, finish_job
from clipmill.terminal.screen import describe
from clipmill.terminal.session import Session, api_command, given

HTTP_NOT_FOUND = 404


@click.command()
@click.argument("id_", metavar="ID")
@api_command
def watch(session: Session, id_: str) -> None:
    """Show the progress of a job or batch until it is done. Exit 1 when a job failed."""
    if isinstance(find(session.client, id_), Batch):
        finish_batch(session, id_)
    else:
        finish_job(session, id_)


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "-o", "--output", "folder", default=".", type=click.Path(path_type=Path, file_okay=False),
    help="The folder to put the files in.",
)  # fmt: skip
@api_command
def fetch(session: Session, id_: str, folder: Path) -> None:
    """Fetch the files of a job or batch that is done.

    The same command resumes a broken transfer; every file is checked by its hash. Exit 1 when a
    file could not be fetched, for example an expired file; the other files are fetched.
    """
    found = find(session.client, id_)
    jobs_done = [found] if isinstance(found, Job) else list(found.jobs)
    fetched = fetch_files(session, jobs_done, folder)
    paths = fetched.paths
    session.print("\n".join(map(str, paths)), [str(path) for path in paths])
    if fetched.missing:
        sys.exit(1)
    if not paths:
        raise click.ClickException(f"{id_} has no files (it is {found.state})")


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--state", help="queued, running, succeeded, failed or cancelled.")
@click.option("--kind", help="extract, download or clip.")
@click.option("--batch", "batch_id", help="Only the jobs of this batch.")
@click.option("--external-id", help="Only jobs with this id of your own.")
@click.option("--limit", default=20, show_default=True, help="How many at most.")
@api_command
def jobs(session: Session, id_: str | None, limit: int, **filters: Any) -> None:
    """List jobs, newest first; or show the job with this ID."""
    if id_:
        found = session.client.job(id_)
        session.print(describe(found), found.document)
        return
    pages = session.client.jobs(page_size=max(1, min(limit, 200)), **given(filters))
    listed = [job for job, _ in zip(pages, range(limit), strict=False)]
    session.print("\n".join(map(describe, listed)), [job.document for job in listed])


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@api_command
def cancel(session: Session, ids: tuple[str, ...]) -> None:
    """Cancel jobs or whole batches. Exit 1 when a cancel was refused; the others are cancelled.

    With --json a list has each job or batch in turn: as it is now, or `{"id", "refused"}` with the
    problem document.
    """
    answers: list[Mapping[str, Any]] = []
    for id_ in ids:
        try:
            batch = isinstance(find(session.client, id_), Batch)
            answer = session.client.cancel_batch(id_) if batch else session.client.cancel(id_)
        except ApiProblem as problem:
            session.print_error(id_, problem)
            answers.append({"id": id_, "refused": problem.document})
        else:
            session.print_text(f"{id_} {answer.state}")
            answers.append(answer.document)
    session.print_json(answers)
    if any("refused" in answer for answer in answers):
        sys.exit(1)


def find(client: Client, id_: str) -> Job | Batch:
    """The job or batch with this id."""
    try:
        return client.job(id_)
    except ApiProblem as problem:
        if problem.status != HTTP_NOT_FOUND:
            raise
    return client.batch(id_)
