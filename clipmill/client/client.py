"""A typed client of the API.

with Client("http://127.0.0.1:8000") as client:
    job = client.submit("clip", "https://example.org/video", start=12.5, end=27.5)
    job = client.wait(job.id, check=True)
    client.download(job.artifacts[0], "clips")
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from clipmill.client.answers import Artifact, Batch, Job, Upload
from clipmill.client.calls import Calls
from clipmill.client.errors import ApiProblem, JobNotSucceeded, StillRunning, Unreachable
from clipmill.client.sending import send
from clipmill.client.transfer import OnBytes, fetch, local_name
from config.api import API_BASE

LONGEST_HANG_SECONDS = 60.0  # the longest wait of one request that the API allows
_DELETED = {"title": "The job was deleted", "status": 404, "code": "not_found"}
PAUSE_SECONDS = 0.2  # between two polls or connections when the API answers at once

Answer = TypeVar("Answer", Job, Batch)


class Client(Calls):
    """One API, used with one key. A context manager; every call may raise ClientError."""

    def submit(
        self,
        kind: str,
        source: str | Mapping[str, str],
        *,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Queue one job; a string as `source` is a URL. A broken connection makes no second job."""
        body = {"kind": kind, "source": {"url": source} if isinstance(source, str) else source}
        return Job.read(self._submit("/jobs", body | fields, idempotency_key))

    def submit_batch(
        self,
        jobs: Iterable[Mapping[str, Any]],
        defaults: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Queue jobs together, all or none; `defaults` are merged under each."""
        body = {"defaults": dict(defaults or {}), "jobs": [dict(job) for job in jobs]}
        return Batch.read(self._submit("/batches", body, idempotency_key))

    def upload(self, path: Path | str, *, on_bytes: OnBytes | None = None) -> Upload:
        """Send a file of this machine; resumes by itself. Its `source` is one for jobs.

        Raises JobNotSucceeded when it is no media.
        """
        upload_id = send(self._connection, Path(path), max_tries=self._max_tries, on_bytes=on_bytes)
        self.wait(upload_id, check=True)
        return Upload.read(self._get(f"/uploads/{upload_id}", {}, 0))

    def job(self, job_id: str, *, hang_seconds: float = 0.0) -> Job:
        """The job; with `hang_seconds` (≤60) the answer waits that long for its final state."""
        return Job.read(self._get(f"/jobs/{job_id}", {}, hang_seconds))

    def batch(self, batch_id: str, *, hang_seconds: float = 0.0, jobs: str = "full") -> Batch:
        """The batch; `jobs` (`full`, `brief`, `none`) selects how much of each job it contains."""
        return Batch.read(self._get(f"/batches/{batch_id}", {"jobs": jobs}, hang_seconds))

    def jobs(self, *, page_size: int = 100, **filters: str | None) -> Iterator[Job]:
        """All jobs that match (`state`, `kind`, `batch_id`, `external_id`), newest first."""
        query = {name: value for name, value in filters.items() if value is not None}
        cursor: str | None = None
        while True:
            paging = {"limit": str(page_size)} | ({"cursor": cursor} if cursor else {})
            page = self._connection.json("GET", f"{API_BASE}/jobs", params=query | paging)
            yield from map(Job.read, page["jobs"])
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def wait(
        self, job_id: str, *, timeout_seconds: float | None = None, check: bool = False
    ) -> Job:
        """The job once it is final. Raises StillRunning, and JobNotSucceeded if `check`."""
        job = _wait(lambda hang: self.job(job_id, hang_seconds=hang), timeout_seconds)
        if check and not job.succeeded:
            raise JobNotSucceeded(job)
        return job

    def wait_batch(self, batch_id: str, *, timeout_seconds: float | None = None) -> Batch:
        """The batch once all its jobs are final. Raises StillRunning."""
        return _wait(lambda hang: self.batch(batch_id, hang_seconds=hang), timeout_seconds)

    def events(self, job_id: str) -> Iterator[Job]:
        """The job at each change, until it is final; continues after a broken connection.

        Raises ApiProblem when the job is deleted meanwhile.
        """
        last_id, tries_left = "", self._max_tries
        while True:
            try:
                for event in self._stream(f"/jobs/{job_id}/events", last_id):
                    if event.name == "deleted":
                        raise ApiProblem(404, _DELETED)
                    last_id, tries_left = event.id or last_id, self._max_tries
                    job = Job.read(event.data)
                    yield job
                    if job.is_final:
                        return
            except Unreachable:
                tries_left -= 1
                if not tries_left:
                    raise
            time.sleep(PAUSE_SECONDS)

    def cancel(self, job_id: str) -> Job:
        return Job.read(self._post(f"/jobs/{job_id}/cancel"))

    def retry(self, job_id: str) -> Job:
        return Job.read(self._post(f"/jobs/{job_id}/retry"))

    def delete(self, job_id: str) -> None:
        """Remove a final job and its artifacts for good."""
        self._connection.json("DELETE", f"{API_BASE}/jobs/{job_id}")

    def cancel_batch(self, batch_id: str) -> Batch:
        return Batch.read(self._post(f"/batches/{batch_id}/cancel"))

    def retry_batch(self, batch_id: str) -> Batch:
        return Batch.read(self._post(f"/batches/{batch_id}/retry"))

    def download(
        self,
        artifact: Artifact,
        folder: Path | str,
        *,
        name: str | None = None,
        on_bytes: OnBytes | None = None,
    ) -> Path:
        """Fetch an artifact into a folder. Resumes a broken transfer and checks the hash."""
        target = Path(folder) / (name or local_name(artifact))
        return fetch(
            self._connection, artifact, target, max_tries=self._max_tries, on_bytes=on_bytes
        )


def _wait(look: Callable[[float], Answer], timeout_seconds: float | None) -> Answer:
    """Poll until the answer is final; `look` may wait for the given seconds."""
    give_up_at = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        left_seconds = max(0.0, give_up_at - time.monotonic())
        answer = look(min(LONGEST_HANG_SECONDS, left_seconds))
        if answer.is_final:
            return answer
        if not left_seconds:
            raise StillRunning(f"{answer.id} is still {answer.state}")
        time.sleep(min(PAUSE_SECONDS, left_seconds))
