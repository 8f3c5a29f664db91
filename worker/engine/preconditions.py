"""What must hold before a job may start, besides memory: the disk has space, the site serves us.

A job whose preconditions do not hold waits in the queue; no attempt is counted.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit

from config.timings import PRODUCTION, Timings
from tasks.errors import JobError, SiteThrottled
from tasks.job import Job, WaitReason
from tasks.kinds import KINDS
from tasks.store import Store
from worker.attempt.lease import LeasedJob
from worker.engine.disk import Disk, NoRoomOnDisk
from worker.engine.workspace import workspace_name
from worker.kinds import HANDLERS

# How many sites a report names.
MOST_SITES = 20


class Postpone(Exception):
    """The job must wait `seconds` in the queue; `why` is for its timeline."""

    def __init__(self, seconds: float, why: str, reason: WaitReason = WaitReason.RETRY) -> None:
        super().__init__(why)
        self.seconds = seconds
        self.why = why
        self.reason = reason


class Preconditions:
    """Checked before each attempt; `failed` and `succeeded` report how it ended."""

    def __init__(self, store: Store, disk: Disk, timings: Timings = PRODUCTION) -> None:
        self._store = store
        self._timings = timings
        self._disk = disk
        self._throttled = ThrottledSites()

    @property
    def throttled_sites(self) -> tuple[str, ...]:
        """Sites that hold up jobs of this worker now."""
        return self._throttled.sites()

    @contextmanager
    def met(self, leased: LeasedJob) -> Iterator[Callable[[], None]]:
        """Reserve disk space for the block, and check that the site is not paused. Raises Postpone.

        The block gets a function to call when it has waited for something else: after a long wait
        it checks the site again, and may raise Postpone as well.
        """
        host = host_of(leased.job)
        try:
            need_bytes, token = HANDLERS[leased.job.kind].disk_bytes, leased.lease.token
            with self._disk.room(need_bytes, leased.stop, workspace_name(leased.job.id, token)):
                self._ask_for_site(leased.job.owner, host)
                yield partial(self._ask_again, leased.job.owner, host, time.monotonic())
        except NoRoomOnDisk:
            pause = self._timings.disk_pause_seconds
            raise Postpone(pause, "storage_full", WaitReason.DISK) from None

    def _ask_again(self, owner: str, host: str | None, asked_at: float) -> None:
        # The one job that may try a site after a pause stays so for that long: a check within it
        # would make the job wait for itself.
        if time.monotonic() - asked_at > self._timings.site_probe_seconds:
            self._ask_for_site(owner, host)

    def _ask_for_site(self, owner: str, host: str | None) -> None:
        pause = self._store.sites.pause(owner, host, self._timings) if host else 0.0
        if pause:
            self._throttled.note(host or "", pause + self._timings.site_probe_seconds)
            # Jobs that waited together must not come back together.
            seconds = pause + random.uniform(0.0, 3.0)  # noqa: S311
            raise Postpone(seconds, "site_throttled", WaitReason.SITE)

    def failed(self, job: Job, error: JobError) -> None:
        """Report that an attempt has failed."""
        host = host_of(job)
        if host and isinstance(error, SiteThrottled):
            times = self._timings
            self._throttled.note(host, times.first_site_pause_seconds + times.site_probe_seconds)
            self._store.sites.refused(job.owner, host, times)

    def succeeded(self, job: Job) -> None:
        """Report that a job has succeeded."""
        host = host_of(job)
        if host:
            self._throttled.forget(host)
            self._store.sites.served(job.owner, host)


def host_of(job: Job) -> str | None:
    """The site that the job itself asks; None for a job that works on the file of another one."""
    url = job.spec.source.url
    return urlsplit(url).hostname if url is not None and KINDS[job.kind].reads_site else None


class ThrottledSites:
    """Sites that this worker does not ask for now, since they asked for a pause. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def note(self, host: str, seconds: float) -> None:
        """Record that this site held up a job, and is paused for so many seconds."""
        with self._lock:
            self._until[host] = time.monotonic() + seconds

    def forget(self, host: str) -> None:
        """Record that the site answers again."""
        with self._lock:
            self._until.pop(host, None)

    def sites(self) -> tuple[str, ...]:
        """The host names, the longest pause first."""
        now = time.monotonic()
        with self._lock:
            self._until = {host: until for host, until in self._until.items() if until > now}
            longest = sorted(self._until, key=self._until.__getitem__, reverse=True)
        return tuple(longest[:MOST_SITES])
