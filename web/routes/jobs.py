"""Jobs over HTTP: submit, read, list, cancel, retry, delete, follow."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from config.api import API_BASE
from tasks.dispatch import JobRequest
from tasks.errors import Replayed
from tasks.rendering import rfc3339
from tasks.store import JobQuery, Snapshot
from web.http.idempotency import PARAMETER, idempotency_key, keep, replayed
from web.http.long_poll import wait_until
from web.http.openapi import Blueprint
from web.http.prefer import PARAMETER as PREFER
from web.http.prefer import answer_when_final
from web.http.receiving import accept_received
from web.http.responses import job_accepted, job_answer, join_json, json_answer, json_bytes
from web.http.services import caller, current_services
from web.routes.events import MEDIA_TYPE, event_stream, job_event
from web.schemas.answers import JobPageSchema, JobSchema, TimelineSchema
from web.schemas.queries import JobListSchema, WaitSchema
from web.schemas.requests import JobRequestSchema

blueprint = Blueprint(
    "jobs", __name__, url_prefix=f"{API_BASE}/jobs", description="One piece of work each."
)

_JOB_REQUEST = {
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobRequest"}}}
}


@blueprint.route("", methods=["POST"])
@blueprint.doc(requestBody=_JOB_REQUEST, parameters=[PARAMETER, PREFER])
@blueprint.arguments(JobRequestSchema())
@blueprint.response(202, JobSchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.alt_response(200, schema=JobSchema, description="`Prefer: wait`: the job has ended.")
@blueprint.alt_response(303, description="`Prefer: wait` and `Accept: video/*`: its file.")
@blueprint.refusals(400, 401, 403, 413, 415, 503)
def submit(job: JobRequest) -> Response:
    """Submit a job. When the answer comes, the job is recorded and queued, and has not run yet."""
    services, owner, key = current_services(), caller().name, idempotency_key(request)
    accept_received(services)
    try:
        snapshot = services.dispatcher.submit(job, owner, key, caller().limits)
    except Replayed as earlier:
        job_id = earlier.id
        response = replayed(
            services.store.idempotency,
            job_id,
            lambda: job_accepted(services.store.jobs.snapshot(job_id, owner)),
        )
    else:
        job_id, response = snapshot.id, job_accepted(snapshot)
        if key is not None:
            keep(services.store.idempotency, job_id, response)
    response.headers["Location"] = f"{API_BASE}/jobs/{job_id}"
    return answer_when_final(services, request, response, job_id, owner)


@blueprint.route("")
@blueprint.arguments(JobListSchema(), location="query")
@blueprint.response(200, JobPageSchema)
@blueprint.refusals(401, 403, 503)
def list_jobs(query: JobQuery) -> Response:
    """List jobs, newest first."""
    page = current_services().store.queries.page(query, caller().owner)
    bodies = [item.body for item in page.items]
    return json_answer(join_json({}, "jobs", bodies, {"next_cursor": page.next_cursor}))


@blueprint.route("/<job_id>")
@blueprint.arguments(WaitSchema(), location="query")
@blueprint.response(200, JobSchema, headers={"ETag": {"schema": {"type": "string"}}})
@blueprint.alt_response(304, description="The client has this already.")
@blueprint.refusals(401, 403, 404, 412, 503)
def read(query: dict[str, Any], job_id: str) -> Response:
    """Read a job. A failed job is data: the answer is 200 as well."""
    services, owner = current_services(), caller().owner
    return job_answer(
        wait_until(
            services,
            job_id,
            lambda: services.store.jobs.snapshot(job_id, owner),
            lambda snapshot: snapshot.state.final,
            query["wait"],
        )
    )


@blueprint.route("/<job_id>", methods=["DELETE"])
@blueprint.response(204)
@blueprint.refusals(401, 403, 404, 409, 503)
def delete(job_id: str) -> Response:
    """Remove a final job and its artifacts."""
    current_services().dispatcher.delete(job_id, caller().owner)
    return Response(status=204)


@blueprint.route("/<job_id>/cancel", methods=["POST"])
@blueprint.response(202, JobSchema)
@blueprint.refusals(401, 403, 404, 409, 503)
def cancel(job_id: str) -> Response:
    """Stop a job: its processes are ended and it leaves no file."""
    return job_accepted(current_services().dispatcher.cancel(job_id, caller().owner))


@blueprint.route("/<job_id>/retry", methods=["POST"])
@blueprint.response(202, JobSchema)
@blueprint.refusals(401, 403, 404, 409, 503)
def retry(job_id: str) -> Response:
    """Run a failed or cancelled job again from the beginning."""
    return job_accepted(current_services().dispatcher.retry(job_id, caller().owner))


@blueprint.route("/<job_id>/timeline")
@blueprint.response(200, TimelineSchema)
@blueprint.refusals(401, 403, 404, 503)
def timeline(job_id: str) -> Response:
    """List what happened to a job, in order; of very many events the last 200."""
    recorded = current_services().store.jobs.timeline(job_id, caller().owner)
    events = [{**event, "at": rfc3339(event["at"])} for event in recorded]
    return json_answer(json_bytes({"id": job_id, "events": events}))


@blueprint.route("/<job_id>/events")
@blueprint.response(200, content_type=MEDIA_TYPE, description="`event: job`, `data:` the job.")
@blueprint.alt_response(204, description="There is nothing after the Last-Event-ID.")
@blueprint.refusals(401, 403, 404, 503)
def events(job_id: str) -> Response:
    """Follow a job until it is final."""
    services, owner = current_services(), caller().owner

    def present() -> Any:
        snapshot: Snapshot = services.store.jobs.snapshot(job_id, owner)
        return job_event(snapshot)

    return event_stream(job_id, present)
