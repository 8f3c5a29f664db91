"""Makes every error answer: a problem document, `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from tasks.errors import (
    ArtifactExpired,
    ClipmillError,
    DeliveryOpen,
    EndpointDisabled,
    Fault,
    IdempotencyKeyReused,
    InvalidRequest,
    JobAlreadyFinal,
    JobError,
    JobNotFinal,
    JobNotRetryable,
    NotBuilt,
    NotFound,
    QueueFull,
    QuotaExceeded,
    RequestError,
    StorageFull,
    StorageUnavailable,
    StoreFull,
    StoreUnavailable,
    TooManyEndpoints,
    Unreadable,
)
from web.http.errors import (
    ChecksumMismatch,
    Forbidden,
    MalformedJson,
    MissingCredentials,
    RateLimited,
    SlowBody,
    TooManyTransfers,
    TooManyWaiting,
    UnsupportedMedia,
    UnsupportedMediaType,
    UploadBusy,
    UploadOffset,
    WrongTusVersion,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:clipmill:problem:"
# More faults would only repeat the same mistake, and a hostile body could cause a huge answer.
MOST_FAULTS = 50
_LONGEST_TEXT = 300

# The status and title of each error. A test proves that no error is missing. An error without a row
# of its own has the row of its nearest base class.
PROBLEMS: Mapping[type[ClipmillError], tuple[int, str]] = {
    MalformedJson: (HTTPStatus.BAD_REQUEST, "The body is not valid JSON"),
    MissingCredentials: (HTTPStatus.UNAUTHORIZED, "A valid API key is needed"),
    Forbidden: (HTTPStatus.FORBIDDEN, "This is not allowed"),
    SlowBody: (HTTPStatus.REQUEST_TIMEOUT, "The body came too slowly"),
    NotFound: (HTTPStatus.NOT_FOUND, "There is no such thing"),
    JobAlreadyFinal: (HTTPStatus.CONFLICT, "The job is already final"),
    JobNotRetryable: (HTTPStatus.CONFLICT, "The job cannot be retried"),
    JobNotFinal: (HTTPStatus.CONFLICT, "The job is not final"),
    Unreadable: (HTTPStatus.CONFLICT, "A newer version of Clipmill wrote the job"),
    TooManyEndpoints: (HTTPStatus.CONFLICT, "There are too many webhooks already"),
    DeliveryOpen: (HTTPStatus.CONFLICT, "The delivery has not ended"),
    EndpointDisabled: (HTTPStatus.CONFLICT, "The webhook is disabled"),
    ArtifactExpired: (HTTPStatus.GONE, "The artifact is no longer kept"),
    UploadOffset: (HTTPStatus.CONFLICT, "The piece does not fit"),
    UploadBusy: (HTTPStatus.LOCKED, "The upload is being written"),
    ChecksumMismatch: (460, "The piece is damaged"),  # as tus has it
    WrongTusVersion: (HTTPStatus.PRECONDITION_FAILED, "Another version of tus is needed"),
    UnsupportedMedia: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The file is no media"),
    UnsupportedMediaType: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be JSON"),
    QuotaExceeded: (HTTPStatus.TOO_MANY_REQUESTS, "The key has used what it may use today"),
    RateLimited: (HTTPStatus.TOO_MANY_REQUESTS, "There are too many requests"),
    NotBuilt: (HTTPStatus.NOT_IMPLEMENTED, "This is not built yet"),
    InvalidRequest: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request cannot be accepted"),
    IdempotencyKeyReused: (HTTPStatus.UNPROCESSABLE_ENTITY, "The key named another request"),
    # An error that would fail the job is known before the job is accepted: a blocked address.
    JobError: (HTTPStatus.UNPROCESSABLE_ENTITY, "The request cannot be accepted"),
    # The request is correct, but whether the file exists cannot be checked now.
    StorageFull: (HTTPStatus.SERVICE_UNAVAILABLE, "The disk is full"),
    StorageUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "Artifacts cannot be read now"),
    QueueFull: (HTTPStatus.SERVICE_UNAVAILABLE, "The queue is full"),
    StoreUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "The record store does not answer"),
    StoreFull: (HTTPStatus.SERVICE_UNAVAILABLE, "The record store is full"),
    TooManyWaiting: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many requests wait already"),
    TooManyTransfers: (HTTPStatus.SERVICE_UNAVAILABLE, "Too many files are being sent already"),
}

# When a client may try again, in seconds.
RETRY_AFTER_SECONDS: Mapping[type[ClipmillError], int] = {
    StorageFull: 60,
    StorageUnavailable: 10,
    QueueFull: 10,
    StoreUnavailable: 2,
    StoreFull: 30,
    TooManyWaiting: 5,
    TooManyTransfers: 5,
}

# The codes of errors from Flask and Werkzeug, where the phrase of the status is not enough.
_CODES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "range_not_satisfiable",
    HTTPStatus.UNPROCESSABLE_ENTITY: "validation_failed",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limited",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
}


def register_problems(app: Flask) -> None:
    """Make every error of the application a problem document."""
    app.register_error_handler(RequestError, _refused)
    app.register_error_handler(JobError, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    faults: tuple[Fault, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The document as a response to the present request."""
    body = problem_body(status, code, title, detail, request.path, faults)
    response = Response(body, status, headers, content_type=MEDIA_TYPE)
    if request.method == "HEAD":
        response.headers["Content-Length"] = str(len(response.get_data()))
    return response


def problem_body(
    status: int, code: str, title: str, detail: str, path: str, faults: tuple[Fault, ...] = ()
) -> bytes:
    """The document itself."""
    body = {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": int(status),
        "detail": _short(detail),
        "instance": _short(path),
        "code": code,
        "errors": [
            {"pointer": _short(fault.pointer), "detail": _short(fault.detail)}
            for fault in faults[:MOST_FAULTS]
        ],
    }
    return json.dumps(body).encode()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _refused(error: RequestError | JobError) -> Response:
    row = next(kind for kind in type(error).__mro__ if kind in PROBLEMS)
    status, title = PROBLEMS[row]
    headers = {}
    if row in RETRY_AFTER_SECONDS:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS[row])
    if isinstance(error, RateLimited | QuotaExceeded):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="clipmill"'
    faults = error.faults if isinstance(error, InvalidRequest) else ()
    return problem(status, error.code, title, error.message, faults=faults, headers=headers)


def _http_error(error: HTTPException) -> Response:
    """Errors of Flask and Werkzeug keep their status and headers (Allow, Content-Range…)."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    code = _CODES.get(status, status.name.lower())
    headers = dict(error.get_response().headers)
    for made_by_us in ("Content-Type", "Content-Length"):
        headers.pop(made_by_us, None)
    return problem(status, code, status.phrase, error.description or "", headers=headers)


def _unexpected(error: Exception) -> Response:
    """A bug of ours: the client gets a reference to the log line and nothing else."""
    reference = secrets.token_hex(8)
    log.error("unexpected error, reference %s", reference, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong here",
        f"The request could not be served. Quote the reference {reference} when you report it.",
    )
