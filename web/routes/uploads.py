"""Files of clients: sent in one request, listed, removed. `resumable` receives them in pieces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, request

from config.api import API_BASE
from tasks.errors import JobNotFinal, NotFound
from tasks.kinds import UploadSpec
from tasks.store import JobQuery, Snapshot
from web.http.errors import UnsupportedMedia
from web.http.long_poll import wait_until
from web.http.openapi import Blueprint
from web.http.receiving import FORM, accept, receive_form
from web.http.responses import json_answer, json_bytes
from web.http.services import Services, caller, current_services
from web.schemas.answers import UploadPageSchema, UploadSchema
from web.schemas.queries import PageSchema

blueprint = Blueprint(
    "uploads", __name__, url_prefix=f"{API_BASE}/uploads", description="Files of yours as sources."
)

_CHECK_SECONDS = 60.0
_FORM = {
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
            }
        }
    }
}


@blueprint.route("", methods=["POST"])
@blueprint.doc(requestBody=_FORM)
@blueprint.response(201, UploadSchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.alt_response(202, description="The file is here, and is not checked yet.")
@blueprint.refusals(401, 403, 408, 413, 415, 422, 503)
def create() -> Response:
    """Send a file, the one part of a form. The answer comes when it was found to be media."""
    services = current_services()
    received = receive_form(services, request)
    accept(services, received)
    snapshot = _checked(services, received.upload_id)
    shown = _shown(snapshot)
    if shown["error"] is not None:
        services.dispatcher.delete(snapshot.id, None)
        raise UnsupportedMedia(f"the file cannot be used: {shown['error']['message']}")
    status = HTTPStatus.CREATED if snapshot.state.final else HTTPStatus.ACCEPTED
    headers = {"Location": f"{API_BASE}/uploads/{snapshot.id}"}
    return json_answer(json_bytes(shown), status, headers)


def _checked(services: Services, upload_id: str) -> Snapshot:
    """The job of the check, when it has ended; the file on its way is not needed any more then."""
    snapshot = wait_until(
        services,
        upload_id,
        lambda: services.store.jobs.snapshot(upload_id, None),
        lambda snapshot: snapshot.state.final,
        _CHECK_SECONDS,
    )
    if snapshot.state.final:
        services.incoming.remove(upload_id)
    return snapshot


@blueprint.route("")
@blueprint.arguments(PageSchema(), location="query")
@blueprint.response(200, UploadPageSchema)
@blueprint.refusals(401, 403, 503)
def list_uploads(query: Mapping[str, Any]) -> Response:
    """List uploads, newest first."""
    asked = JobQuery(kind=UploadSpec.kind, limit=query["limit"], cursor=query.get("cursor"))
    page = current_services().store.queries.page(asked, caller().owner)
    uploads = [_shown(snapshot) for snapshot in page.items]
    return json_answer(json_bytes({"uploads": uploads, "next_cursor": page.next_cursor}))


@blueprint.route("/<upload_id>")
@blueprint.response(200, UploadSchema)
@blueprint.refusals(401, 403, 404, 503)
def read(upload_id: str) -> Response:
    """Read an upload."""
    return json_answer(json_bytes(_shown(_find(upload_id))))


@blueprint.route("/<upload_id>", methods=["DELETE"])
@blueprint.response(204)
@blueprint.refusals(401, 403, 404, 409, 503)
def delete(upload_id: str) -> Response:
    """Remove an upload and its file."""
    services = current_services()
    snapshot = _find(upload_id)
    if not snapshot.state.final:
        raise JobNotFinal("the file is being checked: try again in a moment")
    services.dispatcher.delete(snapshot.id, caller().owner)
    services.incoming.remove(snapshot.id)
    return Response(status=HTTPStatus.NO_CONTENT)


def _find(upload_id: str) -> Snapshot:
    """Raises NotFound."""
    snapshot = current_services().store.jobs.snapshot(upload_id, caller().owner)
    if json.loads(snapshot.body)["kind"] != UploadSpec.kind:
        raise NotFound("there is no such upload")
    return snapshot


def _shown(snapshot: Snapshot) -> dict[str, Any]:
    """An upload as clients see it, from the job that checks it."""
    job = json.loads(snapshot.body)
    spec, result = job["spec"], job["result"]
    main = next(iter(result["artifacts"]), None) if result else None
    media = main and {
        name: main[name]
        for name in (
            "media_type", "duration_seconds", "width", "height", "video_codec", "audio_codec"
        )
    }  # fmt: skip
    return {
        "id": job["id"],
        "filename": spec["filename"],
        "size_bytes": spec["size_bytes"],
        "sha256": spec["sha256"],
        "state": job["state"],
        "created_at": job["created_at"],
        "media": media,
        "error": job["error"],
        "links": {
            "self": f"{API_BASE}/uploads/{job['id']}",
            "job": job["links"]["self"],
            **({"file": main["url"]} if main else {}),
        },
    }
