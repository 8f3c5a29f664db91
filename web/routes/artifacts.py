"""The bytes of a finished file: whole or a range, with a validator and a safe name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Response, request, send_file
from werkzeug.wsgi import FileWrapper

from config.api import API_BASE
from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired
from tasks.storage import Presentation, Redirect
from web.http.link_answer import link_answer
from web.http.openapi import Blueprint
from web.http.responses import settle_preconditions
from web.http.services import caller, current_services
from web.http.transfers import BLOCK_BYTES, begin_transfer
from web.schemas.filenames import content_disposition
from web.schemas.links import LinkRequestSchema, LinkSchema
from web.schemas.queries import DownloadFlagSchema

blueprint = Blueprint(
    "artifacts", __name__, url_prefix=f"{API_BASE}/artifacts", description="Finished files."
)

_ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)
# A file made from strangers' media must not run as a page of ours, whatever it claims to be.
_CONTENT_POLICY = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'"


@blueprint.route("/<artifact_id>")
@blueprint.arguments(DownloadFlagSchema(), location="query")
@blueprint.response(200, content_type="application/octet-stream", description="The file.")
@blueprint.alt_response(
    206, content_type="application/octet-stream", description="The range that was asked for."
)
@blueprint.alt_response(304, description="The client has this file already.")
@blueprint.alt_response(307, description="The storage itself sends the file: from `Location`.")
@blueprint.refusals(401, 403, 404, 410, 412, 416, 503)
def fetch(query: dict[str, Any], artifact_id: str) -> Response:
    """Fetch a file. One range of bytes is answered with 206, several at once with the whole."""
    services = current_services()
    artifact = services.store.artifacts.get(artifact_id, caller().owner)
    attachment = query.get("download") == "1"
    shown = Presentation(artifact.media_type, content_disposition(artifact.filename, attachment))
    served = services.storage.serve(artifact.storage_key, shown)
    services.store.artifacts.used(artifact_id)
    if isinstance(served, Redirect):
        return _redirected(served, artifact)
    return begin_transfer(services, _sent(served.path, artifact, shown))


@blueprint.route("/<artifact_id>/links", methods=["POST"])
@blueprint.arguments(LinkRequestSchema)
@blueprint.response(201, LinkSchema)
@blueprint.refusals(400, 401, 403, 404, 410, 413, 415, 503)
def make_link(asked: dict[str, Any], artifact_id: str) -> Response:
    """Make a link to a file that works without a key until it expires, or its key is revoked."""
    current_services().store.artifacts.get(artifact_id, caller().owner)
    return link_answer(f"{API_BASE}/artifacts/{artifact_id}", asked["expires_in"])


def _redirected(served: Redirect, artifact: StoredArtifact) -> Response:
    """Where the file is. The storage answers ranges, which a client sends to it once more."""
    settle_preconditions(artifact.sha256)
    if _is_known(artifact, None):
        response = Response(status=HTTPStatus.NOT_MODIFIED)
        response.set_etag(artifact.sha256)
        return response
    return Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": served.url})


def _sent(path: Path, artifact: StoredArtifact, shown: Presentation) -> Response:
    """The file, or the range of it that was asked for. Raises ArtifactExpired."""
    request.environ["wsgi.file_wrapper"] = _large_blocks
    try:
        modified = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
        settle_preconditions(artifact.sha256, modified)
        _settle_range(request.environ, artifact, modified)
        response = send_file(
            path, mimetype=shown.media_type, conditional=True, etag=artifact.sha256
        )
    except FileNotFoundError as error:  # given up since the storage looked
        raise ArtifactExpired("the file is no longer kept") from error
    response.headers["Content-Disposition"] = shown.disposition
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = _CONTENT_POLICY
    return response


def _large_blocks(file: Any, _: int = 0) -> FileWrapper:
    return FileWrapper(file, BLOCK_BYTES)


def _settle_range(environ: dict[str, Any], artifact: StoredArtifact, modified: datetime) -> None:
    """Leave Werkzeug only ranges that it treats as RFC 9110 asks.

    Several ranges, other units and nonsense are to be ignored, where it would answer 416; a
    suffix longer than the file means the whole file. No range counts where the client has the file
    already (304), or has another version by `If-Range`, whose tag must be a strong one.
    """
    text = environ.get("HTTP_RANGE")
    if text is None:
        return
    of_this = environ.pop("HTTP_IF_RANGE", f'"{artifact.sha256}"').strip() == f'"{artifact.sha256}"'
    if not of_this or _is_known(artifact, modified):
        del environ["HTTP_RANGE"]
        return
    match = _ONE_RANGE.fullmatch(text.strip())
    first, last, suffix = match.groups() if match else (None, None, None)
    backwards = bool(first and last and int(last) < int(first))
    if match is None or backwards:
        del environ["HTTP_RANGE"]
    elif suffix and int(suffix) >= artifact.size_bytes:
        environ["HTTP_RANGE"] = "bytes=0-"


def _is_known(artifact: StoredArtifact, modified: datetime | None) -> bool:
    """Whether the client says that it has this version. A tag says more than a time."""
    if "If-None-Match" in request.headers:
        return request.if_none_match.contains_weak(artifact.sha256)
    since = request.if_modified_since
    return since is not None and modified is not None and modified <= since
