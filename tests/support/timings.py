"""Timings for tests that must not wait as long as production does."""

from __future__ import annotations

from config.timings import Timings

# Short leases and pauses: many of them end within a storm of a minute.
QUICK = Timings(
    lease_seconds=4.0,
    housekeeping_seconds=0.5,
    housekeeping_lock_seconds=2.0,
    settling_seconds=1.5,
    first_retry_seconds=0.5,
    disk_pause_seconds=0.5,
    webhook_lease_seconds=4.0,
    report_ttl_seconds=6,
)
