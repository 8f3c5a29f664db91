"""Whether the request of a client can be accepted at all, checked before the planning."""

from __future__ import annotations

from collections.abc import Sequence

from config.values import Network
from tasks.addresses import check_url
from tasks.dispatch.planning import JobRequest
from tasks.errors import Fault, InvalidRequest, JobError, NotFound
from tasks.job import JobState
from tasks.kinds import KINDS, UploadSpec
from tasks.specs import Source, Spec
from tasks.store import Store
from tasks.webhook import Webhook


class RequestChecks:
    """Checks sources; records nothing."""

    def __init__(self, store: Store, allowed: Sequence[Network]) -> None:
        self._store = store
        self._allowed = allowed

    def check_all(self, requests: Sequence[JobRequest], owner: str) -> None:
        """`check` for a batch, each source once; the pointer of a fault names its job."""
        seen: set[tuple[str, Source, Webhook | None]] = set()
        for index, request in enumerate(requests):
            what = (request.spec.kind, request.spec.source, request.webhook)
            if what in seen:
                continue
            try:
                self.check(request, owner)
            except InvalidRequest as error:
                raise error.under(f"/jobs/{index}") from error
            seen.add(what)

    def check(self, request: JobRequest, owner: str) -> None:
        """Raises InvalidRequest when the source or the webhook cannot be used."""
        source = request.spec.source
        if source.upload_id is not None:
            self._check_upload(request.spec, source.upload_id, owner)
        if source.job_id is not None:
            self._check_source_job(request.spec, source.job_id, owner)
        if source.url is not None:
            self.check_url(source.url, "/source/url")
        if request.webhook is not None:
            self.check_url(request.webhook.url, "/webhook/url")

    def check_url(self, url: str, pointer: str) -> None:
        """Raises InvalidRequest for a URL that may not be requested."""
        try:
            check_url(url, self._allowed)
        except JobError as error:
            faults = (Fault(pointer, error.message),)
            raise InvalidRequest(error.message, faults, error.code) from error

    def _check_upload(self, spec: Spec, upload_id: str, owner: str) -> None:
        pointer = "/source/upload_id"
        if KINDS[spec.kind].reads_site:
            raise _fault(pointer, f"a job of kind {spec.kind} needs a url")
        try:
            upload = self._store.jobs.get(upload_id, owner)
        except NotFound as error:
            raise _fault(pointer, "there is no such upload") from error
        if upload.kind != UploadSpec.kind:
            raise _fault(pointer, "there is no such upload")
        if upload.state in {JobState.FAILED, JobState.CANCELLED}:
            raise _fault(pointer, f"that upload is {upload.state}")

    def _check_source_job(self, spec: Spec, job_id: str, owner: str) -> None:
        if KINDS[spec.kind].reads_site:
            raise _fault("/source/job_id", f"a job of kind {spec.kind} needs a url")
        try:
            job = self._store.jobs.get(job_id, owner)
        except NotFound as error:
            raise _fault("/source/job_id", "there is no such job") from error
        if not KINDS[job.kind].gives_media:
            raise _fault("/source/job_id", f"a job of kind {job.kind} gives no media")
        if job.state in {JobState.FAILED, JobState.CANCELLED}:
            raise _fault("/source/job_id", f"that job is {job.state}")


def _fault(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, (Fault(pointer, detail),))
