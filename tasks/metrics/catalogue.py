"""Every metric that the store counts: its meaning, its labels, its buckets.

The values of a label come from a list in the code, never from a client. Where the list is here,
each row exists from the start with 0: Prometheus would not see the first increase otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from config.values import MIB
from tasks.errors import job_error_codes
from tasks.job import FINAL
from tasks.kinds import KINDS as ROWS

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
REQUEST_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip
BYTES = tuple(megabytes * MIB for megabytes in (32, 64, 96, 128, 192, 256, 384, 512, 1024, 2048))
# Close together around 1, where the promise lies: estimates at most 10 % below the peak, and not
# much above it.
RATIOS = (
    0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.35, 1.5, 2, 3,
)  # fmt: skip

CODES = tuple(sorted(job_error_codes()))
RETRIED = tuple(sorted(code for code, error in job_error_codes().items() if error.retryable))
TOOLS = ("yt-dlp", "ffmpeg", "probe", "look", "cut", "check", "dress", "burn")
KINDS = tuple(ROWS)
CACHES = tuple(name for name, kind in ROWS.items() if kind.cached)
PARTS = ("bucket", "sum", "count")  # of a histogram


@dataclass(frozen=True)
class Family:
    """One metric. `labels`: the names, each with the values that exist from the start."""

    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] | None = None  # upper bounds, of a histogram

    def rows(self) -> list[dict[str, str]]:
        """Every combination of the label values that exist from the start."""
        return [
            dict(zip(self.labels, values, strict=True)) for values in product(*self.labels.values())
        ]


FAMILIES: Mapping[str, Family] = {
    "jobs_total": Family(
        "Jobs that ended, by their final state.", {"kind": KINDS, "state": tuple(sorted(FINAL))}
    ),
    "job_failures_total": Family(
        "Jobs that failed, by the code of their error.", {"kind": KINDS, "code": CODES}
    ),
    "job_retries_total": Family(
        "Attempts that failed and are retried, by the code of their error.",
        {"kind": KINDS, "code": RETRIED},
    ),
    "job_queue_seconds": Family(
        "Time from the entry into the queue to the start of an attempt.", {"kind": KINDS}, SECONDS
    ),
    "job_run_seconds": Family(
        "Time from the start of the last attempt to the end of the job.", {"kind": KINDS}, SECONDS
    ),
    "admission_wait_seconds": Family(
        "Time that a job which a worker holds waited for memory and cores.", {}, SECONDS
    ),
    "subprocess_peak_bytes": Family(
        "Peak memory of a tool with its children.", {"tool": TOOLS}, BYTES
    ),
    "memory_estimate_ratio": Family(
        "Peak memory of an attempt, divided by its estimate.", {"kind": KINDS}, RATIOS
    ),
    "clip_frames_total": Family(
        "Frames of finished clips, encoded or copied.", {"how": ("encoded", "copied")}
    ),
    "smart_rejected_total": Family("Smart cuts that failed their check and were encoded instead."),
    "media_seconds_total": Family(
        "Duration of the main artifacts that jobs made.", {"kind": KINDS}
    ),
    "bytes_downloaded_total": Family("Size of the files that downloads fetched."),
    "cache_hits_total": Family("Jobs that got the artifacts of an equal job.", {"cache": CACHES}),
    "cache_misses_total": Family(
        "Jobs that could be answered by an equal job but had to run.", {"cache": CACHES}
    ),
    "recovered_jobs_total": Family(
        "Jobs that the housekeeper recovered: an expired lease, or a lost message.",
        {"reason": ("lease", "message")},
    ),
    "jobs_forgotten_total": Family(
        "Finished jobs whose records were removed: after their time, or for the store's memory.",
        {"reason": ("ttl", "memory")},
    ),
    "artifacts_expired_total": Family(
        "Artifacts that expired: unused for too long, or to free storage.",
        {"reason": ("ttl", "limit")},
    ),
    "stray_files_total": Family("Files without a record that were removed from storage."),
    "housekeeper_rounds_total": Family("Rounds that the housekeepers have finished."),
    "webhook_deliveries_total": Family(
        "Webhook deliveries that ended, by their outcome.", {"outcome": ("delivered", "failed")}
    ),
    "stream_bytes_total": Family("Bytes streamed through the proxy."),
    # The routes are those of the application, so no row exists before the first request.
    "http_request_seconds": Family(
        "Time until a response begins, by route template.",
        {"route": (), "method": (), "status": ()},
        REQUEST_SECONDS,
    ),
}


def buckets_of(metric: str) -> Sequence[float]:
    """The upper bounds of a histogram, as the catalogue has them."""
    known = FAMILIES.get(metric)
    return known.buckets if known is not None and known.buckets is not None else SECONDS


# The names are few, and every request looks some of them up.
@lru_cache(maxsize=1024)
def check_name(name: str, labels: tuple[str, ...] | None = None) -> None:
    """Raises ValueError for a metric, or labels of one, that the catalogue lacks.

    Such a metric would have no row before its first event, and no help text.
    """
    metric, _, part = name.rpartition("_")
    plain, histogram = FAMILIES.get(name), FAMILIES.get(metric)
    if plain is not None and plain.buckets is None:
        own = {*plain.labels}
    elif histogram is not None and histogram.buckets is not None and part in PARTS:
        own = {*histogram.labels} | ({"le"} if part == "bucket" else set())
    else:
        raise ValueError(f"the catalogue has no number {name}")
    if labels is not None and own != {*labels}:
        raise ValueError(f"{name} has the labels {sorted(own)}, not {[*labels]}")
