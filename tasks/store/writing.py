"""The one way in which jobs are written: some of them together, all or none."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tasks.job import Job, WaitReason
from tasks.record import record_of
from tasks.rendering import render_job
from tasks.store.connection import Connection, StorePart
from tasks.store.moves import NOTHING_ELSE, Extras, NewSources, change_of
from tasks.store.retry_for import NO_RETRY, RetryFor

NOTHING_BESIDE: Mapping[str, Any] = {}


# What a change of a record adds to numbers, from the version before (None: it is new) and after.
TallyOfMove = Callable[[Job | None, Job], Mapping[str, float]]


class Writer(StorePart):
    """Writes jobs with all that goes with them. A write that is sent twice is done once."""

    def __init__(self, connection: Connection, tally_of_move: TallyOfMove) -> None:
        super().__init__(connection)
        self._tally_of_move = tally_of_move

    def change(
        self,
        job: Job,
        before: Job | None,
        extras: Extras = NOTHING_ELSE,
        outdated: Mapping[str, str] = NOTHING_BESIDE,
    ) -> dict[str, Any]:
        """The change of a job from what it was, None when it is new, to what it shall be."""
        return change_of(job, before, extras, outdated, self._tally_of_move(before, job))

    def creations(
        self, jobs: Iterable[Job], sources: NewSources
    ) -> list[tuple[Job, dict[str, Any]]]:
        """The changes that make the new sources and then these jobs."""
        return [
            (job, self.change(job, None, outdated=sources.outdated) | {"create": True})
            for job in (*sources.downloads, *jobs)
        ]

    def write(
        self,
        changes: Sequence[tuple[Job, dict[str, Any]]],
        beside: Mapping[str, Any] = NOTHING_BESIDE,
        retry_for: RetryFor = NO_RETRY,
    ) -> list[bytes]:
        """Write jobs, a source before those that need it; what the script answers.

        `beside` is what the script shall look at, and write, besides jobs.
        """
        told = [
            json.dumps(beside),
            *(part for job, change in changes for part in _told(job, change)),
        ]
        script = "create" if any("create" in change for _, change in changes) else "change"
        # The same words each time: the script knows a write that it has done already.
        answer = retry_for.run(lambda: self._run(script, [], *told))
        return list(answer)


def _told(job: Job, change: dict[str, Any]) -> list[str | bytes]:
    """The arguments of one job: its change, and its two texts in one or two versions."""
    made_for_others = job.internal and "create" in change  # then it is not made at all
    if "flight" not in change or "expect_token" in change or made_for_others:
        return [json.dumps(change), *_texts(job), "", ""]
    # Only the script knows whom it follows: it puts that id where the placeholder stands.
    placeholder = secrets.token_hex(16)
    following = job.depending_on((placeholder,), WaitReason.DEPENDENCY)
    return [json.dumps(change | {"placeholder": placeholder}), *_texts(job), *_texts(following)]


def _texts(job: Job) -> tuple[str, bytes]:
    return json.dumps(record_of(job)), render_job(job)
