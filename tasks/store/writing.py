"""The only way in which jobs are written: one or several together, all or none."""

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
from tasks.store.packing import packed
from tasks.store.retry_for import NO_RETRY, RetryFor

NOTHING_BESIDE: Mapping[str, Any] = {}


# What a change of a record adds to counters, from the version before (None: a new job) and after.
TallyOfMove = Callable[[Job | None, Job], Mapping[str, float]]


class Writer(StorePart):
    """Writes jobs with their indexes and counters. A write that is sent twice is done once."""

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
        """The change from `before`, None for a new job, to `job`."""
        return change_of(job, before, extras, outdated, self._tally_of_move(before, job))

    def creations(
        self, jobs: Iterable[Job], sources: NewSources
    ) -> list[tuple[Job, dict[str, Any]]]:
        """The changes that record the new sources and then these jobs."""
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
        """Write jobs, a source before the jobs that need it; returns the answer of the script.

        `beside` is what the script shall check and write besides jobs.
        """
        args = [
            json.dumps(beside),
            *(part for job, change in changes for part in _args_of(job, change)),
        ]
        script = "create" if any("create" in change for _, change in changes) else "change"
        # The same arguments each time: the script recognises a write that it has done already.
        answer = retry_for.run(lambda: self._run(script, [], *args))
        return list(answer)


def _args_of(job: Job, change: dict[str, Any]) -> list[str | bytes]:
    """The arguments of one job: its change, and its two texts in one or two versions."""
    made_for_others = job.internal and "create" in change  # never follows: dropped instead
    if "flight" not in change or "expect_token" in change or made_for_others:
        return [json.dumps(change), *_texts(job), "", ""]
    # Only the script knows which job is the leader: it puts that id in place of the placeholder.
    placeholder = secrets.token_hex(16)
    following = job.depending_on((placeholder,), WaitReason.DEPENDENCY)
    return [json.dumps(change | {"placeholder": placeholder}), *_texts(job), *_texts(following)]


def _texts(job: Job) -> tuple[str | bytes, bytes]:
    record, document = json.dumps(record_of(job)), render_job(job)
    if job.state.final:
        return packed(record.encode()), packed(document)
    return record, document
