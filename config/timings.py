"""All periods, waits and limits of time of a worker, as one value.

They are no settings, since the numbers depend on each other (a lease outlives several heartbeats
and a short outage of the store). A test may build a worker with shorter timings, so that it need
not wait half a minute.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Seconds, except the fields that count looks. The defaults are those of production."""

    # Leases
    lease_seconds: float = 30.0
    """How long a worker keeps a job without a heartbeat; then the job is recovered."""
    heartbeat_seconds: float = 1.0
    """From one renewal of all leases to the next; also how often progress is written."""
    store_patience_seconds: float = 45.0
    """How long finished work waits for a store that is down, before the work is discarded."""

    # The housekeeper
    housekeeping_seconds: float = 2.0
    """The period of the search for lost jobs, due retries and lost messages."""
    housekeeping_lock_seconds: float = 10.0
    """How long a worker's housekeeper keeps its lock without renewing it."""
    settling_seconds: float = 5.0
    """After an outage of the store or a jump of its clock: the time that living workers have for
    their heartbeats, before leases can expire again."""

    # Retries and postponements
    first_retry_seconds: float = 2.0
    """From a failed first attempt to the second; doubles with each attempt."""
    throttled_retry_seconds: float = 30.0
    """The same after a site has throttled requests."""
    longest_retry_seconds: float = 900.0
    """The limit of this doubling."""
    disk_pause_seconds: float = 15.0
    """How long a job waits in the queue for disk space, or for a disk that cannot be used."""
    first_site_pause_seconds: float = 30.0
    """How long no worker uses a site that has refused requests; doubles with each refusal."""
    longest_site_pause_seconds: float = 900.0
    """The limit of the doubling of site pauses."""
    site_probe_seconds: float = 20.0
    """After a pause one job tries the site; its peers wait this long for the outcome."""

    # Admission
    admission_patience_seconds: float = 30.0
    """How long a job waits for memory here before it is left to another worker that has free
    memory."""
    too_large_seconds: float = 5.0
    """How long a worker does not take a job again that only a larger worker can run."""

    # Disks
    disk_look_seconds: float = 1.0
    """The period of checks of the disk space while jobs write to the disk."""
    removal_retry_seconds: float = 2.0
    """From a removal that failed to the next try: when a disk could not be written for a moment,
    its space must not stay occupied until the next sweep."""

    # Retention
    retention_seconds: float = 10.0
    """The period of the search for expired artifacts and jobs."""
    sweep_seconds: float = 600.0
    """The period of the search for files without a record."""
    sweep_grace_seconds: float = 3600.0
    """A file is written before its record; without a record after this time it is unreferenced."""
    least_kept_seconds: float = 60.0
    """How long an artifact is kept at least, however little space is free: a client that waited for
    a result must be able to fetch it."""

    # Webhooks
    webhook_look_seconds: float = 0.25
    """The period of the search for messages that are due."""
    webhook_lease_seconds: float = 30.0
    """After this time a message goes to another sender; a try takes half of it at most."""
    webhook_kept_seconds: float = 3 * 86400.0
    """How long a delivery that has ended can be read and sent again."""

    # Reports
    report_seconds: float = 2.0
    """The period of the worker's reports."""
    report_ttl_seconds: int = 20
    """A worker that has not reported for this long is not listed any more."""

    # The watchdog
    watchdog_look_seconds: float = 1.0
    """The period of checks for signs of life."""
    watchdog_patience_looks: int = 60
    """Checks without a sign of life before the worker ends itself."""
    watchdog_ask_looks: int = 10
    """Without a sign of life, every this many checks: ask whether store and broker answer."""


PRODUCTION = Timings()
