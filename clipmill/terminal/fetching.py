"""Fetching the files of jobs that are done, each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipmill.client.answers import Job
from clipmill.client.errors import ApiProblem, BadAnswer, DamagedDownload
from clipmill.client.transfer import local_name
from clipmill.terminal.session import Session

# An error of one file only: the next file may succeed, which it cannot over a broken connection.
OF_ONE_ALONE = (ApiProblem, BadAnswer, DamagedDownload)


@dataclass
class Fetched:
    """The files that are here now, and how many could not be fetched."""

    paths: list[Path] = field(default_factory=list)
    missing: int = 0


def fetch_files(session: Session, jobs: Sequence[Job], folder: Path) -> Fetched:
    """Fetch all files of these jobs; an error of one file is printed, and the others go on."""
    fetched = Fetched()
    for number, job in enumerate(jobs, start=1):
        # Jobs of a batch may have files of the same name.
        prefix = "" if len(jobs) == 1 else f"{number:0{len(str(len(jobs)))}d}-"
        for artifact in job.artifacts:
            try:
                name = prefix + local_name(artifact)
                fetched.paths.append(session.client.download(artifact, folder, name=name))
            except OF_ONE_ALONE as fault:
                fetched.missing += 1
                session.print_error(f"{artifact.name} of {job.id}", fault)
    return fetched
