"""Batches over HTTP: submit, read, cancel, retry, follow, fetch everything as one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, request

from config.api import API_BASE
from tasks.dispatch import JobRequest
from tasks.errors import Replayed
from tasks.rendering import public_batch
from tasks.store import Batch, Snapshot
from web.http.idempotency import PARAMETER, idempotency_key, keep, replayed
from web.http.long_poll import wait_until
from web.http.openapi import Blueprint
from web.http.receiving import accept_received
from web.http.responses import join_parts, json_answer, json_bytes
from web.http.services import Services, caller, current_services
from web.http.transfers import begin_long_answer
from web.routes.archive import archive_answer
from web.routes.events import MEDIA_TYPE, Event, event_stream
from web.schemas.answers import BatchPageSchema, BatchSchema
from web.schemas.batches import BatchRequestSchema
from web.schemas.queries import BatchListSchema, BatchQuerySchema

blueprint = Blueprint(
    "batches", __name__, url_prefix=f"{API_BASE}/batches", description="Up to 1,000 jobs at once."
)

_BATCH_REQUEST = {
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}}}
}


def render_batch(services: Services, batch: Batch, view: str) -> bytes:
    """The public JSON of a batch; `view` selects how much of each job it contains."""
    return b"".join(batch_parts(services, batch, view))


def batch_parts(services: Services, batch: Batch, view: str) -> Iterator[bytes]:
    """The same in parts: the jobs of a large batch may have many megabytes together."""
    pages = () if view == "none" else services.store.batches.pages(batch.id)
    jobs = ([_shown(item, view) for item in page] for page in pages)
    before, after = public_batch(batch)
    return join_parts(before, "jobs", jobs, after)


def _shown(snapshot: Snapshot, view: str) -> bytes:
    return snapshot.body if view == "full" else _brief(snapshot)


def _brief(snapshot: Snapshot) -> bytes:
    job = json.loads(snapshot.body)
    brief = {name: job[name] for name in ("id", "kind", "state", "progress", "wait_reason")}
    error = job["error"]
    return json_bytes({**brief, "error": error and {"code": error["code"]}})


@blueprint.route("", methods=["POST"])
@blueprint.doc(requestBody=_BATCH_REQUEST, parameters=[PARAMETER])
@blueprint.arguments(BatchRequestSchema())
@blueprint.response(202, BatchSchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.refusals(400, 401, 403, 413, 415, 503)
def submit(jobs: list[JobRequest]) -> Response:
    """Submit jobs together: all are accepted, or none."""
    services, key = current_services(), idempotency_key(request)
    accept_received(services)
    try:
        batch_id = services.dispatcher.submit_batch(jobs, caller().name, key, caller().limits)
    except Replayed as earlier:
        batch_id = earlier.id
        response = replayed(
            services.store.idempotency, batch_id, lambda: _accepted(services, batch_id)
        )
    else:
        response = _accepted(services, batch_id)
        if key is not None:
            keep(services.store.idempotency, batch_id, response)
    response.headers["Location"] = f"{API_BASE}/batches/{batch_id}"
    return response


@blueprint.route("")
@blueprint.arguments(BatchListSchema(), location="query")
@blueprint.response(200, BatchPageSchema)
@blueprint.refusals(401, 403, 503)
def list_batches(query: dict[str, Any]) -> Response:
    """List batches without their jobs, newest first."""
    services = current_services()
    page = services.store.batches.page(
        query.get("state"), query["limit"], query.get("cursor"), caller().owner
    )
    parts = (public_batch(batch) for batch in page.items)
    shown = [{**before, **after} for before, after in parts]
    return json_answer(json_bytes({"batches": shown, "next_cursor": page.next_cursor}))


@blueprint.route("/<batch_id>")
@blueprint.arguments(BatchQuerySchema(), location="query")
@blueprint.response(200, BatchSchema, headers={"ETag": {"schema": {"type": "string"}}})
@blueprint.alt_response(304, description="The client has this already.")
@blueprint.refusals(401, 403, 404, 412, 503)
def read(query: dict[str, Any], batch_id: str) -> Response:
    """Read a batch with its jobs, in the order in which they were submitted."""
    services, owner = current_services(), caller().owner
    batch = wait_until(
        services,
        batch_id,
        lambda: services.store.batches.get(batch_id, owner),
        lambda seen: seen.final,
        query["wait"],
    )
    etag = f"{batch.id}.{batch.revision}.{query['jobs']}"
    return begin_long_answer(services, batch_parts(services, batch, query["jobs"]), etag)


@blueprint.route("/<batch_id>/cancel", methods=["POST"])
@blueprint.response(202, BatchSchema)
@blueprint.refusals(401, 403, 404, 503)
def cancel(batch_id: str) -> Response:
    """Stop every job of the batch that is not final."""
    services = current_services()
    services.dispatcher.cancel_batch(batch_id, caller().owner)
    return _accepted(services, batch_id)


@blueprint.route("/<batch_id>/retry", methods=["POST"])
@blueprint.response(202, BatchSchema)
@blueprint.refusals(401, 403, 404, 503)
def retry(batch_id: str) -> Response:
    """Run the failed jobs of the batch again."""
    services = current_services()
    services.dispatcher.retry_batch(batch_id, caller().owner)
    return _accepted(services, batch_id)


@blueprint.route("/<batch_id>/archive")
@blueprint.response(200, content_type="application/zip", description="The main artifacts.")
@blueprint.refusals(401, 403, 404, 410, 503)
def archive(batch_id: str) -> Response:
    """Fetch the main artifacts that are available now as one ZIP file, not compressed again.

    Where files of succeeded jobs have expired, `MISSING.txt` in the archive names them; when all
    have expired the answer is 410. A file in an archive counts as used until it has been sent.
    """
    services, owner = current_services(), caller().owner
    batch = services.store.batches.get(batch_id, owner)
    return archive_answer(services, batch)


@blueprint.route("/<batch_id>/events")
@blueprint.arguments(BatchQuerySchema(only=("jobs",)), location="query")
@blueprint.response(200, content_type=MEDIA_TYPE, description="`event: batch`, `data:` the batch.")
@blueprint.alt_response(204, description="There is nothing after the Last-Event-ID.")
@blueprint.refusals(401, 403, 404, 503)
def events(query: dict[str, Any], batch_id: str) -> Response:
    """Follow a batch until every job is final."""
    services, owner = current_services(), caller().owner

    def present() -> Event:
        batch = services.store.batches.get(batch_id, owner)
        body = render_batch(services, batch, query["jobs"])
        return Event("batch", f"{batch.id}.{batch.revision}", body, last=batch.final)

    return event_stream(batch_id, present)


def _accepted(services: Services, batch_id: str) -> Response:
    return json_answer(
        render_batch(services, services.store.batches.get(batch_id, None), "full"), 202
    )
