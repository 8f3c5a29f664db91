"""The one way in which jobs are written: some of them together, all or none."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.job import Job, WaitReason
from tasks.rendering import render_job
from tasks.store.connection import StorePart
from tasks.store.moves import NOTHING_ELSE, NewSources, change_of
from tasks.store.retry_for import NO_RETRY, RetryFor

NOTHING_BESIDE: Mapping[str, Any] = {}


class Writer(StorePart):
    """Writes jobs with all that goes with them. A write that is sent twice is done once."""

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


def creations(jobs: Iterable[Job], sources: NewSources) -> list[tuple[Job, dict[str, Any]]]:
    """The changes that make the new sources and then these jobs."""
    return [
        (job, change_of(job, None, NOTHING_ELSE, sources.outdated) | {"create": True})
        for job in (*sources.downloads, *jobs)
    ]


def _told(job: Job, change: dict[str, Any]) -> list[str | bytes]:
    """The arguments of one job: its change, and its two texts in one or two versions."""
    if "flight" not in change or "expect_token" in change or job.internal:
        return [json.dumps(change), *_texts(job), "", ""]
    # Only the script knows whom it follows: it puts that id where the placeholder stands.
    placeholder = secrets.token_hex(16)
    following = job.depending_on((placeholder,), WaitReason.DEPENDENCY)
    return [json.dumps(change | {"placeholder": placeholder}), *_texts(job), *_texts(following)]


def _texts(job: Job) -> tuple[str, bytes]:
    return json.dumps(job.to_dict()), render_job(job)
