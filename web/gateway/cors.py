"""Pages of other origins: which may ask, answered in the browser's own protocol (CORS).

No cookie is ever used here, so no credentials are allowed: a page sends its key in a header.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from web.gateway.environ import Environ
from web.gateway.exchange import Headers

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

ANY = "*"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_MAY_SEND = (
    b"Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, "
    b"Last-Event-ID, Prefer, Range, Tus-Resumable, Upload-Checksum, Upload-Length, "
    b"Upload-Metadata, Upload-Offset, X-API-Key, X-Request-Id"
)
_MAY_SEE = (
    b"Accept-Ranges, Content-Disposition, Content-Range, ETag, Idempotency-Replayed, Location, "
    b"Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, Tus-Extension, Tus-Max-Size, "
    b"Tus-Resumable, Tus-Version, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset, "
    b"X-Request-Id"
)
_REMEMBERED_SECONDS = b"600"


class Cors:
    """Tells browsers what pages of other origins may do; by default nothing."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def preflight(self, environ: Environ) -> tuple[int, Headers] | None:
        """The answer to a browser that asks whether a page may ask; None for other requests."""
        asked = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        if not (asked and environ["REQUEST_METHOD"] == "OPTIONS" and self._origin(environ)):
            return None
        return HTTPStatus.NO_CONTENT, [
            *self._headers(environ),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _MAY_SEND),
            (b"access-control-max-age", _REMEMBERED_SECONDS),
            (b"content-length", b"0"),
        ]

    def marking(self, environ: Environ, send: Send) -> Send:
        """The same `send`, which also says that the page may see the answer."""
        if not self._origins:
            return send
        headers = [*self._headers(environ), (b"access-control-expose-headers", _MAY_SEE)]

        async def mark(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        return mark

    def _headers(self, environ: Environ) -> Headers:
        origin = self._origin(environ)
        varies: Headers = [] if ANY in self._origins else [(b"vary", b"Origin")]
        if not origin:
            return varies
        return [*varies, (b"access-control-allow-origin", origin.encode("latin-1"))]

    def _origin(self, environ: Environ) -> str:
        """What to answer for the request's origin; empty where it is not allowed."""
        origin = environ.get("HTTP_ORIGIN")
        if not isinstance(origin, str):
            return ""
        if ANY in self._origins:
            return ANY
        return origin if origin.lower() in self._origins else ""
