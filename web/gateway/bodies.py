"""Reading the bodies of requests: how long each may take, and how much all may hold."""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.exceptions import ClientDisconnected

from config.api import API_BASE
from config.settings import Settings
from web.gateway.environ import Environ, with_body
from web.http.errors import SlowBody, TooManyTransfers
from web.http.json_body import longest_body

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

_MIB = 1024 * 1024
FORM, PIECE = "multipart/form-data", "application/offset+octet-stream"
_UPLOADS = f"{API_BASE}/uploads"
_FORM_PATHS = frozenset({_UPLOADS, f"{API_BASE}/jobs", f"{API_BASE}/batches"})


@dataclass(frozen=True)
class BodyLimits:
    """What a client has to keep to, and what all of them may hold in memory together."""

    grace_seconds: float = 10.0  # beside the time that the least rate allows
    least_bytes_a_second: int = 8 * 1024
    whole_seconds: float = 300.0
    held_bytes: int = 32 * _MIB  # four batches of the greatest length
    drained_bytes: int = 2 * _MIB
    drain_seconds: float = 2.0


def limits_of(settings: Settings) -> BodyLimits:
    """The usual limits; who is impatient with readers is so with senders."""
    usual = BodyLimits()
    return replace(usual, grace_seconds=min(usual.grace_seconds, settings.client_silence_seconds))


class ClientLeft(ClientDisconnected):
    """The client disconnected in the middle of its request: nobody reads the answer."""


class Bodies:
    """The bodies that are on their way. Belongs to one event loop."""

    def __init__(self, limits: BodyLimits, settings: Settings) -> None:
        self._limits = limits
        self._settings = settings
        self._share = limits.held_bytes // 2 if settings.auth_required else limits.held_bytes
        self._held = 0
        self._held_by: Counter[str] = Counter()

    async def read_into(self, environ: Environ, receive: Receive, caller: str) -> bool:
        """Read the body into the request; False when it is too long.

        Of such a body Flask sees the length, and refuses it. Raises SlowBody, TooManyTransfers,
        ClientLeft.
        """
        most = longest_body(self._settings, environ["PATH_INFO"])
        declared = _declared_length(environ)
        if declared is not None and declared > most:
            return False
        parts: list[bytes] = []
        length = 0
        try:
            async for part in self._parts(receive):
                self._hold(caller, len(part))
                parts.append(part)
                length += len(part)
                if length > most:
                    break
        finally:
            self._let_go(caller, length)
        body = b"".join(parts)
        if declared is not None and len(body) < declared:
            raise ClientLeft
        with_body(environ, body)
        return length <= most

    def stream_into(self, environ: Environ, receive: Receive) -> StreamedBody:
        """Let the request read its body while it comes, for as long as it comes fast enough."""
        parts = self._parts(receive, math.inf)
        body = StreamedBody(parts, _declared_length(environ), asyncio.get_running_loop())
        environ["wsgi.input"] = body  # unbuffered: what has come is read, however little it is
        return body

    async def _parts(
        self, receive: Receive, whole_seconds: float | None = None
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        limits, began, received = self._limits, loop.time(), 0
        whole = limits.whole_seconds if whole_seconds is None else whole_seconds
        while True:
            allowed = limits.grace_seconds + received / limits.least_bytes_a_second
            deadline = began + min(allowed, whole)
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise SlowBody(
                    f"the body came too slowly: {received} bytes in {loop.time() - began:.0f} s"
                ) from None
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part = message.get("body", b"")
            received += len(part)
            if part:
                yield part
            if not message.get("more_body"):
                return

    async def drain(self, environ: Environ, receive: Receive) -> None:
        """Read and forget what the client still sends, for a short time.

        A connection that is closed while its client sends loses the answer. A client that waits for
        leave to send (`Expect`) sends nothing.
        """
        if "HTTP_EXPECT" in environ:
            return
        received = 0
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                while received < self._limits.drained_bytes:
                    message = await receive()
                    received += len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body"):
                        return
        except TimeoutError:
            return  # the answer comes now, whether the client reads it or not

    def _hold(self, caller: str, size: int) -> None:
        if self._held + size > self._limits.held_bytes or (
            self._held_by[caller] + size > self._share
        ):
            raise TooManyTransfers("too many long requests are being read already; try again later")
        self._held += size
        self._held_by[caller] += size

    def _let_go(self, caller: str, size: int) -> None:
        self._held -= size
        self._held_by[caller] -= size
        if not self._held_by[caller]:
            del self._held_by[caller]


class StreamedBody(io.RawIOBase):
    """A body that a thread reads while it comes; the loop keeps the limits of time."""

    def __init__(
        self, parts: AsyncIterator[bytes], declared: int | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._parts = parts
        self._left = declared
        self._loop = loop
        self._part = memoryview(b"")
        self.ended = False  # whether all of it was read

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, target: Any) -> int:
        """The next bytes; 0 at the end. Raises SlowBody, and ClientLeft where it breaks off."""
        while not self._part and not self.ended:
            self._fetch()
        size = min(len(target), len(self._part))
        target[:size] = self._part[:size]
        self._part = self._part[size:]
        return size

    def _fetch(self) -> None:
        reading = asyncio.run_coroutine_threadsafe(anext(self._parts, b""), self._loop)
        part = reading.result()
        if self._left is not None:
            self._left -= len(part)
        if not part and self._left:
            raise ClientLeft
        self.ended = not part or self._left == 0
        self._part = memoryview(part)


def is_streamed(environ: Environ) -> bool:
    """Whether the body is a file, which no memory shall hold."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    path: str = environ["PATH_INFO"]
    if kind == FORM:
        return path in _FORM_PATHS
    return kind == PIECE and path.startswith(f"{_UPLOADS}/")


def has_body(environ: Environ) -> bool:
    """Whether the client says that it sends a body."""
    length = environ.get("CONTENT_LENGTH", "0")
    return length != "0" or "HTTP_TRANSFER_ENCODING" in environ


def _declared_length(environ: Environ) -> int | None:
    text = environ.get("CONTENT_LENGTH", "")
    return int(text) if text.isdigit() else None
