"""The events of jobs and of upkeep, and what each event adds to which metric.

Code in which an event happens reports the event to an observer and names no metric. The observer
collects a tally, which is written together with the record of the event: so the metrics equal the
records. A further metric is a row in `catalogue` and a line in the method of its event here.
"""

from __future__ import annotations

from tasks.job import Job, JobState
from tasks.kinds import KINDS, ClipResult, DownloadResult
from tasks.metrics.counters import Tally, counter_name, observed
from tasks.result import Result


class Observer:
    """Collects a tally. Not thread-safe."""

    def __init__(self) -> None:
        self.tally: Tally = Tally()

    def _count(self, metric: str, amount: float = 1, **labels: str) -> None:
        if amount:
            self.tally[counter_name(metric, **labels)] += amount  # type: ignore[assignment]  # some totals are floats

    def _observe(self, metric: str, value: float, **labels: str) -> None:
        self.tally.update(observed(metric, value, **labels))


class JobObserver(Observer):
    """The events of one job."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def job_moved(self, before: Job | None, after: Job) -> None:
        """The record changed from `before`, None for a new job; only moves between states count."""
        if before is not None and before.state == after.state:
            return
        if after.state is JobState.RUNNING and after.started_at is not None:
            waited = max(0.0, after.started_at - after.queued_at)
            self._observe("job_queue_seconds", waited, kind=self._kind)
        if after.state.final:
            self._count("jobs_total", kind=self._kind, state=after.state)
            if after.started_at is not None and after.finished_at is not None:
                ran = max(0.0, after.finished_at - after.started_at)
                self._observe("job_run_seconds", ran, kind=self._kind)
        if after.state is JobState.FAILED and after.error is not None:
            self._count("job_failures_total", kind=self._kind, code=after.error.code)

    def waited_for_room(self, seconds: float) -> None:
        """A job that a worker holds waited for memory and cores, in vain or not."""
        self._observe("admission_wait_seconds", seconds)

    def tool_finished(self, tool: str, peak_bytes: int) -> None:
        """A tool ended; `peak_bytes` is its memory with its children, 0 when it is not known."""
        if peak_bytes:
            self._observe("subprocess_peak_bytes", peak_bytes, tool=tool)

    def memory_compared(self, ratio: float | None) -> None:
        """An attempt ended: `ratio` is its peak memory divided by the estimate."""
        if ratio is not None:
            self._observe("memory_estimate_ratio", ratio, kind=self._kind)

    def smart_cuts_rejected(self, count: int) -> None:
        """Smart cuts failed their check, and their clips were encoded instead."""
        self._count("smart_rejected_total", count)

    def work_published(self, result: Result) -> None:
        """The job did its work, and its files are in storage."""
        if KINDS[self._kind].cached:
            self._count("cache_misses_total", cache=self._kind)
        if result.main is not None:
            self._count("media_seconds_total", result.main.duration_seconds or 0.0, kind=self._kind)
        if isinstance(result, DownloadResult):
            self._count("bytes_downloaded_total", sum(it.size_bytes for it in result.artifacts))
        if isinstance(result, ClipResult):
            self._count("clip_frames_total", result.frames_encoded, how="encoded")
            self._count("clip_frames_total", result.frames_copied, how="copied")

    def answered_from_storage(self) -> None:
        """The job got the artifacts of an equal job."""
        self._count("cache_hits_total", cache=self._kind)

    def attempt_failed(self, code: str) -> None:
        """An attempt failed with the code of a job error, and the job is retried."""
        self._count("job_retries_total", kind=self._kind, code=code)

    def recovered(self) -> None:
        """The worker that held the job was lost, and the housekeeper recovered the job."""
        self._count("recovered_jobs_total", reason="lease")


class UpkeepObserver(Observer):
    """The events of upkeep that belong to no record of a job."""

    def messages_lost(self, count: int) -> None:
        """Jobs were ready and had no message, so messages were sent again."""
        self._count("recovered_jobs_total", count, reason="message")

    def artifact_expired(self, reason: str) -> None:
        """An artifact expired: `ttl`, unused for too long, or `limit`, to free storage."""
        self._count("artifacts_expired_total", reason=reason)

    def jobs_forgotten(self, reason: str, count: int) -> None:
        """Finished jobs were forgotten: `ttl`, after their time, or `memory`, before it."""
        self._count("jobs_forgotten_total", count, reason=reason)

    def unreferenced_removed(self, count: int) -> None:
        """Files without a record were removed from storage."""
        self._count("stray_files_total", count)


def tally_of_move(before: Job | None, after: Job) -> Tally:
    """The tally of a change of a record, from its two versions."""
    observer = JobObserver(after.kind)
    observer.job_moved(before, after)
    return observer.tally
