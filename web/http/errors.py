"""Requests that `web` itself refuses, beside those of `tasks.errors`."""

from __future__ import annotations

from tasks.errors import RequestError


class MalformedJson(RequestError):
    """The body is not one JSON document that every reader would understand alike."""

    code = "malformed_json"


class UnsupportedMediaType(RequestError):
    """The body is not of a type that this call takes."""

    code = "unsupported_media_type"


class MissingCredentials(RequestError):
    """No key, or none that is known."""

    code = "missing_credentials"


class Forbidden(RequestError):
    """Known, but not allowed to do this; or a request that no honest client sends."""

    code = "forbidden"


class TooManyWaiting(RequestError):
    """Every place for a request that waits (`?wait=`, events) is taken."""

    code = "too_many_waiting"


class TooManyTransfers(RequestError):
    """Every place for an answer of a file's length (artifacts, archives) is taken."""

    code = "too_many_transfers"
