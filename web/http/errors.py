"""Errors of requests that `web` itself rejects, in addition to those of `tasks.errors`."""

from __future__ import annotations

from tasks.errors import RequestError

# In a WSGI environment: what the gateway found, and Flask refuses the request with.
REFUSAL = "clipmill.refusal"


class MalformedJson(RequestError):
    """The body is not a JSON document that every parser reads the same way."""

    code = "malformed_json"


class SlowBody(RequestError):
    """The body did not come, or came too slowly."""

    code = "request_timeout"


class UploadOffset(RequestError):
    """The piece does not begin where the upload ends."""

    code = "upload_offset_conflict"


class UploadBusy(RequestError):
    """Another request is sending a piece of this upload."""

    code = "upload_busy"


class ChecksumMismatch(RequestError):
    """The piece is not what its sender meant to send."""

    code = "checksum_mismatch"


class WrongTusVersion(RequestError):
    """The client does not speak this version of tus."""

    code = "wrong_tus_version"


class UnsupportedMedia(RequestError):
    """The file that was sent is no media that can be read here."""

    code = "unsupported_media"


class UnsupportedMediaType(RequestError):
    """This call does not accept the body's media type."""

    code = "unsupported_media_type"


class MissingCredentials(RequestError):
    """The request has no key, or an unknown key."""

    code = "missing_credentials"


class Forbidden(RequestError):
    """The caller is not allowed to do this; or the request is one that no honest client sends."""

    code = "forbidden"


class RateLimited(RequestError):
    """The key has sent as many requests as it may for now."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TooManyWaiting(RequestError):
    """Every slot for a request that waits (`?wait=`, events) is in use."""

    code = "too_many_waiting"


class TooManyTransfers(RequestError):
    """Every slot for sending a file (artifacts, archives) is in use."""

    code = "too_many_transfers"
