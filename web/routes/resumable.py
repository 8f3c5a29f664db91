"""Files in pieces: tus 1.0 (tus.io), so that a broken connection costs only the piece under way.

Built: creation, creation-with-upload, checksum, expiration, termination. A file that is whole is
checked by a job as one that came in a form; `GET /uploads/{id}` tells how that went.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, BinaryIO

from flask import Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.http import http_date

from config.api import API_BASE
from tasks.errors import Fault, InvalidRequest, NotFound
from tasks.storage.incoming import Arrival
from web.http.errors import (
    ChecksumMismatch,
    SlowBody,
    UnsupportedMediaType,
    UploadBusy,
    UploadOffset,
    WrongTusVersion,
)
from web.http.openapi import Blueprint
from web.http.receiving import accept, check_room, sweep, whole, writing
from web.http.services import Services, caller, current_services
from web.schemas.filenames import safe_name

blueprint = Blueprint(
    "resumable",
    __name__,
    url_prefix=f"{API_BASE}/uploads/resumable",
    description="Uploads in pieces (tus 1.0).",
)

VERSION = "1.0.0"
PIECE = "application/offset+octet-stream"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = ("sha1", "sha256", "md5")
_PATH = f"{API_BASE}/uploads/resumable"
_BLOCK_BYTES = 256 * 1024
_LONGEST_METADATA = 4096


@blueprint.after_request
def _name_version(response: Response) -> Response:
    """Errors too tell which version is spoken."""
    response.headers["Tus-Resumable"] = VERSION
    response.headers["Tus-Version"] = VERSION
    return response


@blueprint.route("", methods=["OPTIONS"])
@blueprint.response(204)
def options() -> Response:
    """What this server can do."""
    most = str(current_services().settings.max_upload_bytes)
    headers = {"Tus-Extension": EXTENSIONS, "Tus-Max-Size": most}
    return _answer(
        HTTPStatus.NO_CONTENT, headers | {"Tus-Checksum-Algorithm": ",".join(ALGORITHMS)}
    )


@blueprint.route("", methods=["POST"])
@blueprint.response(201, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.refusals(401, 403, 408, 412, 413, 415, 422, 503)
def create() -> Response:
    """Begin an upload of `Upload-Length` bytes; a body is its first piece."""
    _check_version()
    services = current_services()
    sweep(services)
    length = _number("Upload-Length")
    if length > services.settings.max_upload_bytes:
        raise RequestEntityTooLarge
    check_room(services, length)
    text = request.headers.get("Upload-Metadata", "")
    name = safe_name(_metadata(text).get("filename", ""), "upload")
    upload_id = services.dispatcher.new_upload_id()
    arrival = Arrival(upload_id, caller().name, name, length, time.time(), text)
    with writing():
        services.incoming.begin(arrival)
    headers = {"Location": f"{_PATH}/{upload_id}"}
    if request.mimetype == PIECE or length == 0:
        return _received(services, arrival, 0, HTTPStatus.CREATED, headers)
    return _answer(HTTPStatus.CREATED, headers | _expiry(services, upload_id))


@blueprint.route("/<upload_id>", methods=["HEAD"])
@blueprint.response(200)
@blueprint.refusals(401, 403, 404, 412)
def offset(upload_id: str) -> Response:
    """How many bytes have arrived, in `Upload-Offset`."""
    _check_version()
    services = current_services()
    try:
        arrival = _own(services, upload_id)
    except NotFound:
        size = str(_checked_size(services, upload_id))
        return _answer(HTTPStatus.OK, {"Upload-Offset": size, "Upload-Length": size})
    there = services.incoming.received(upload_id)
    if there == arrival.length and not arrival.complete:
        # The request that brought the last byte was refused, or died: for the client all is sent.
        with _held(services, arrival):
            accept(services, whole(services, arrival))
    headers = {"Upload-Offset": str(there), "Upload-Length": str(arrival.length)}
    if arrival.metadata:
        headers["Upload-Metadata"] = arrival.metadata
    return _answer(HTTPStatus.OK, headers | _expiry(services, upload_id))


@blueprint.route("/<upload_id>", methods=["PATCH"])
@blueprint.response(204)
@blueprint.refusals(401, 403, 404, 408, 409, 412, 413, 415, 423, 503)
def append(upload_id: str) -> Response:
    """Add a piece at `Upload-Offset`. What has arrived stays, also when the connection breaks."""
    _check_version()
    services = current_services()
    arrival = _own(services, upload_id)
    if request.mimetype != PIECE:
        raise UnsupportedMediaType(f"send the piece as `Content-Type: {PIECE}`")
    return _received(services, arrival, _number("Upload-Offset"), HTTPStatus.NO_CONTENT, {})


@blueprint.route("/<upload_id>", methods=["DELETE"])
@blueprint.response(204)
@blueprint.refusals(401, 403, 404, 412, 423)
def terminate(upload_id: str) -> Response:
    """Give an upload up, and remove what has arrived."""
    _check_version()
    services = current_services()
    arrival = _own(services, upload_id)
    with _held(services, arrival):
        services.incoming.remove(upload_id)
    return _answer(HTTPStatus.NO_CONTENT, {})


def _received(
    services: Services,
    arrival: Arrival,
    begin: int,
    status: HTTPStatus,
    headers: Mapping[str, str],
) -> Response:
    """Add the body; when the file is whole, ask for its check."""
    assert arrival.length is not None
    with services.places.receiving.slot(caller().name), writing(), _held(services, arrival) as file:
        there = services.incoming.received(arrival.id)
        if arrival.complete or begin != there:
            raise UploadOffset(f"{there} bytes of this upload are here; go on from there")
        end = _write_piece(file, there, arrival.length)
        if end == arrival.length:
            accept(services, whole(services, arrival))
    told = {"Upload-Offset": str(end), **_expiry(services, arrival.id)}
    return _answer(status, {**headers, **told})


def _write_piece(file: BinaryIO, begin: int, length: int) -> int:
    """Append the body; where it ends. A piece with a wrong checksum leaves nothing.

    A piece without a checksum stays as far as it came.
    """
    algorithm, expected = _checksum()
    digest = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None
    request.max_content_length = length - begin + 1  # at the limit itself Werkzeug refuses
    end = begin
    try:
        while block := request.stream.read(_BLOCK_BYTES):
            file.write(block)
            end += len(block)
            if end > length:
                raise RequestEntityTooLarge
            if digest is not None:
                digest.update(block)
        if digest is not None and not hmac.compare_digest(digest.digest(), expected):
            raise ChecksumMismatch("the piece does not have this checksum")
    except (ClientDisconnected, SlowBody):
        if digest is not None:
            file.truncate(begin)
        raise
    except BaseException:
        file.truncate(begin)
        raise
    finally:
        file.flush()
    return end


@contextmanager
def _held(services: Services, arrival: Arrival) -> Iterator[BinaryIO]:
    """The file, which nobody else writes meanwhile, in any process. Raises UploadBusy, NotFound."""
    try:
        file = services.incoming.open(arrival.id)
    except FileNotFoundError as error:
        raise NotFound("there is no such upload on its way") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadBusy("another request is sending to this upload") from error
        yield file


def _own(services: Services, upload_id: str) -> Arrival:
    """An upload of the caller. Raises NotFound."""
    arrival = services.incoming.get(upload_id)
    if caller().owner not in (None, arrival.owner):
        raise NotFound("there is no such upload on its way")
    return arrival


def _checked_size(services: Services, upload_id: str) -> int:
    """The size of an upload that is whole, from the job that checks it. Raises NotFound.

    A client whose last answer was lost asks for it.
    """
    snapshot = services.store.jobs.snapshot(upload_id, caller().owner)
    size: int | None = json.loads(snapshot.body)["spec"].get("size_bytes")
    if size is None:
        raise NotFound("there is no such upload on its way")
    return size


def _check_version() -> None:
    if request.headers.get("Tus-Resumable") != VERSION:
        raise WrongTusVersion(f"send `Tus-Resumable: {VERSION}`")


def _number(name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _fault(name, "send a whole number of bytes")
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """The client's names and values. Raises InvalidRequest."""
    if len(text) > _LONGEST_METADATA:
        raise _fault("Upload-Metadata", f"must not be longer than {_LONGEST_METADATA} characters")
    found = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _fault("Upload-Metadata", "values must be UTF-8 text in Base64") from error
    return found


def _checksum() -> tuple[str, bytes]:
    """The algorithm and the digest of the piece; empty where the client tells none."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return "", b""
    name, _, value = text.partition(" ")
    if name not in ALGORITHMS:
        raise _fault("Upload-Checksum", f"use one of {', '.join(ALGORITHMS)}")
    try:
        return name, base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise _fault("Upload-Checksum", "the value must be Base64") from error


def _fault(header: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"{header}: {detail}", (Fault(f"/{header}", detail),))


def _expiry(services: Services, upload_id: str) -> dict[str, str]:
    """When the upload is given up, unless more of it comes; nothing for one that is whole."""
    try:
        if services.incoming.get(upload_id).complete:
            return {}
    except NotFound:
        return {}
    ends = datetime.fromtimestamp(time.time() + services.incoming.keep_seconds, UTC)
    return {"Upload-Expires": http_date(ends)}


def _answer(status: HTTPStatus, headers: Mapping[str, Any]) -> Response:
    return Response(status=status, headers=headers)
