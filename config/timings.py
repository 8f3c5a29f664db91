"""How long a worker waits, how often it looks, and when it gives up: one value for all of them.

No setting: the numbers belong together (a lease outlives several heartbeats and a short outage of
the store). What builds a worker may give it others, as tests do which must not wait half a minute.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """All in seconds but what is called looks. The defaults are those of production."""

    # Leases
    lease_seconds: float = 30.0
    """How long a job stays in a worker's hands without a heartbeat; then it is recovered."""
    heartbeat_seconds: float = 1.0
    """From one renewal of all leases to the next; also how often progress is written."""
    store_patience_seconds: float = 45.0
    """How long finished work waits for a store that is away, before it is given up."""

    # The housekeeper
    housekeeping_seconds: float = 2.0
    """From one look for lost jobs, due retries and lost messages to the next."""
    housekeeping_lock_seconds: float = 10.0
    """How long one worker keeps house before another may, if the first says nothing."""
    settling_seconds: float = 5.0
    """After an outage of the store or a jump of its clock: what the heartbeats of living workers
    need to come through, before leases count again."""
    unneeded_download_seconds: float = 15.0
    """How long a download may be there before the clips that it is for: many are planned first."""

    # Retries and postponements
    first_retry_seconds: float = 2.0
    """From a failed first attempt to the second; doubles with each attempt."""
    throttled_retry_seconds: float = 30.0
    """The same where a site asked us to come less often."""
    longest_retry_seconds: float = 900.0
    """What the doubling ends at."""
    disk_pause_seconds: float = 15.0
    """How long a job waits in the queue for room on a disk, or for a disk that cannot be used."""
    first_site_pause_seconds: float = 30.0
    """How long all workers leave a site alone that has refused; doubles with each refusal."""
    longest_site_pause_seconds: float = 900.0
    """What that doubling ends at."""
    site_probe_seconds: float = 20.0
    """After a pause one job tries the site; so long the others wait for what comes of it."""

    # Admission
    admission_patience_seconds: float = 30.0
    """How long a job waits for memory here before another worker gets the chance, if one has
    room."""
    too_large_seconds: float = 5.0
    """How long a job that only a larger worker can run is not to be taken here again."""

    # Disks
    disk_look_seconds: float = 1.0
    """From one look at the room on the disk, while jobs write to it, to the next."""
    removal_retry_seconds: float = 2.0
    """From a removal that failed to the next try: a disk that could not be written for a moment
    must not cost its room until the next sweep."""

    # Retention
    retention_seconds: float = 10.0
    """From one look for artifacts and jobs whose time is over to the next."""
    sweep_seconds: float = 600.0
    """From one look for files without a record to the next."""
    sweep_grace_seconds: float = 3600.0
    """A file comes before its record; after so long without one it has none."""
    least_kept_seconds: float = 60.0
    """However little room there is: a client that waited for a result must be able to fetch it."""

    # Reports
    report_seconds: float = 2.0
    """From one report of the worker to the next."""
    report_ttl_seconds: int = 20
    """A worker that has not reported for this long is not there."""

    # The watchdog
    watchdog_look_seconds: float = 1.0
    """From one look at the signs of life to the next."""
    watchdog_patience_looks: int = 60
    """Looks without a sign of life before the worker ends itself."""
    watchdog_ask_looks: int = 10
    """Looks without a sign of life from one question whether anyone can move to the next."""


PRODUCTION = Timings()
