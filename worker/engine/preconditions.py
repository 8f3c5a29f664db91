"""What must hold before a job may start, besides memory: its site wants us, the disk has room.

A job for which it does not hold waits in the queue; no attempt is counted.
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
from worker.kinds import HANDLERS

# How many sites a report names.
MOST_SITES = 20


class Postpone(Exception):
    """The job shall be tried again after `seconds`; `why` is for its timeline."""

    def __init__(self, seconds: float, why: str, reason: WaitReason = WaitReason.RETRY) -> None:
        super().__init__(why)
        self.seconds = seconds
        self.why = why
        self.reason = reason


class Preconditions:
    """Asked before each attempt, and told how it ended."""

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
        """Room on the disk inside the block, and a site that is not to be spared. Raises NotNow.

        What the block gets is to be called when it has waited for something else: it looks at the
        site again if that was long, and may raise NotNow as well.
        """
        host = host_of(leased.job)
        try:
            with self._disk.room(HANDLERS[leased.job.kind].disk_bytes, leased.stop):
                self._ask_for_site(host)
                yield partial(self._ask_again, host, time.monotonic())
        except NoRoomOnDisk:
            raise Postpone(self._timings.disk_pause_seconds, "storage_full") from None

    def _ask_again(self, host: str | None, asked_at: float) -> None:
        # Who is the one to try after a pause is so for that long, and would wait for himself.
        if time.monotonic() - asked_at > self._timings.site_probe_seconds:
            self._ask_for_site(host)

    def _ask_for_site(self, host: str | None) -> None:
        pause = self._store.sites.pause(host, self._timings) if host else 0.0
        if pause:
            self._throttled.note(host or "", pause + self._timings.site_probe_seconds)
            # Those who waited together must not come together.
            raise Postpone(pause + random.uniform(0.0, 3.0), "site_throttled")  # noqa: S311

    def failed(self, job: Job, error: JobError) -> None:
        """An attempt has failed."""
        host = host_of(job)
        if host and isinstance(error, SiteThrottled):
            times = self._timings
            self._throttled.note(host, times.first_site_pause_seconds + times.site_probe_seconds)
            self._store.sites.refused(host, times)

    def succeeded(self, job: Job) -> None:
        """A job has succeeded."""
        host = host_of(job)
        if host:
            self._throttled.forget(host)
            self._store.sites.served(host)


def host_of(job: Job) -> str | None:
    """The site that the job itself asks; one that works on another job's file asks none."""
    url = job.spec.source.url
    return urlsplit(url).hostname if url is not None and KINDS[job.kind].reads_site else None


class ThrottledSites:
    """Sites that this worker leaves alone, since they asked us to come less often. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def note(self, host: str, seconds: float) -> None:
        """A job was held up by this site, which is to be left alone for so long."""
        with self._lock:
            self._until[host] = time.monotonic() + seconds

    def forget(self, host: str) -> None:
        """It answers as it should."""
        with self._lock:
            self._until.pop(host, None)

    def sites(self) -> tuple[str, ...]:
        """Their host names, those that are left alone for longest before others."""
        now = time.monotonic()
        with self._lock:
            self._until = {host: until for host, until in self._until.items() if until > now}
            longest = sorted(self._until, key=self._until.__getitem__, reverse=True)
        return tuple(longest[:MOST_SITES])
