"""The ASGI application: each request is read here, answered by Flask in a thread, and sent here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.errors import RequestError
from tasks.store.quick_reads import QuickReads
from web.gateway.bodies import Bodies, ClientLeft, Receive, has_body, is_streamed, limits_of
from web.gateway.cors import Cors, Send
from web.gateway.environ import Environ, Scope, environ_of
from web.gateway.exchange import Exchange, Headers
from web.gateway.lanes import RECEIVING, Lanes, NoThread, in_thread, may_wait
from web.gateway.polls import Polls
from web.http.errors import REFUSAL, SlowBody
from web.http.presence import PRESENCE, Presence
from web.http.problems import MEDIA_TYPE as PROBLEM_TYPE
from web.http.problems import problem_body
from web.http.services import Services
from web.metrics.exposition import Metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

_CLOSE = (b"connection", b"close")
_MOST_BLOCKS = 4
_QUICK_SECONDS = 0.02  # what a client needs that reads
# What no buffer of the kernel holds: a client that has taken so much does read.
_PROOF_BYTES = 8 * 1024 * 1024
_PROVEN_FACTOR = 4


class Gateway:
    """Serves a WSGI application over ASGI, in one event loop."""

    def __init__(self, application: WSGIApplication, services: Services, metrics: Metrics) -> None:
        assert services.settings.redis_url is not None
        self._application = application
        self._authenticator = services.authenticator
        self._lanes = Lanes(services.places.waiting.count, services.places.receiving.count)
        reads = QuickReads(services.settings.redis_url)
        self._polls = Polls(reads, services.authenticator, metrics)
        self._cors = Cors(services.settings.cors_origins)
        self._bodies = Bodies(limits_of(services.settings), services.settings)

    async def __call__(self, scope: Scope, receive: Receive, sending: Send) -> None:
        """Answer one request."""
        environ = environ_of(scope)
        send = self._cors.marking(environ, sending)
        preflight = self._cors.preflight(environ)
        if preflight is not None:
            await _send_whole(sending, *preflight, b"")
            return
        quick = await self._polls.answer(environ)
        if quick is not None:
            await _send_whole(send, *quick)
            return
        if is_streamed(environ) and has_body(environ):
            await self._receive_file(environ, receive, send)
            return
        try:
            read = not has_body(environ) or await self._read(environ, receive)
        except ClientLeft:
            return
        exchange = Exchange(self._application, environ)
        if may_wait(environ):
            async with _watched(environ, receive):
                await self._answer(exchange, environ, receive, send, read=read)
        else:
            await self._answer(exchange, environ, receive, send, read=read)

    async def _receive_file(self, environ: Environ, receive: Receive, send: Send) -> None:
        """Answer a request whose body Flask reads in a thread, while it comes."""
        body = self._bodies.stream_into(environ, receive)
        environ[RECEIVING] = True
        exchange = Exchange(self._application, environ)
        try:
            block, _ = await in_thread(self._lanes.of(environ), exchange.begin)
        except ClientLeft:
            return
        except NoThread:
            await _send_whole(send, *_overloaded(environ))
            return
        headers = exchange.headers
        if not body.ended:
            await self._bodies.drain(environ, receive)
            headers = [*headers, _CLOSE]
        await _send_whole(send, exchange.status, headers, block)

    async def _read(self, environ: Environ, receive: Receive) -> bool:
        """Read the body; False when some of it is left, and Flask has to refuse the request."""
        try:
            caller = self._authenticator.authenticate(environ)
            if await self._bodies.read_into(environ, receive, caller.name):
                return True
        except RequestError as error:
            environ[REFUSAL] = error
            if isinstance(error, SlowBody):
                return False
        await self._bodies.drain(environ, receive)
        return False

    async def _answer(
        self, exchange: Exchange, environ: Environ, receive: Receive, send: Send, *, read: bool
    ) -> None:
        try:
            block, whole = await in_thread(self._lanes.of(environ), exchange.begin)
        except NoThread:
            log.error("a request got no thread")
            await _send_whole(send, *_overloaded(environ))
            return
        headers = exchange.headers if read else [*exchange.headers, _CLOSE]
        if whole:
            await _send_whole(send, exchange.status, headers, block)
            return
        await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
        async with _watched(environ, receive) as client:
            threads = self._lanes.of_blocks(environ)
            # An event is sent when it comes, not together with the next.
            most = 1 if may_wait(environ) else _MOST_BLOCKS
            await _send_blocks(exchange, block, client, send, threads, most)


def _overloaded(environ: Environ) -> tuple[int, Headers, bytes]:
    """The problem document for a request that Flask never saw."""
    detail = "the API gets no further thread from the system; try again later"
    body = problem_body(
        HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "The API is overloaded", detail,
        environ["PATH_INFO"],
    )  # fmt: skip
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"5"),
        _CLOSE,
    ]
    return HTTPStatus.SERVICE_UNAVAILABLE, headers, body


async def _send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_blocks(
    exchange: Exchange, first: bytes, client: Presence, send: Send, threads: Executor, most: int
) -> None:
    """Send a long answer, up to `most` blocks for each change of thread.

    A client that takes them at once gets more at a time. One that does not must hold little.
    """
    loop = asyncio.get_running_loop()
    blocks, count, sent = [first], 1, 0
    try:
        while blocks and not client.gone:
            began = loop.time()
            for block in _joined(blocks):
                await send({"type": "http.response.body", "body": block, "more_body": True})
                sent += len(block)
            is_quick = loop.time() - began < _QUICK_SECONDS
            allowed = most if sent < _PROOF_BYTES else _PROVEN_FACTOR * most
            count = min(2 * count, allowed) if is_quick else 1
            blocks = await in_thread(threads, exchange.next_blocks, count)
        await send({"type": "http.response.body", "body": b""})
    finally:
        await in_thread(threads, exchange.close)


def _joined(blocks: list[bytes]) -> list[bytes]:
    """Fewer, longer blocks where there are many: each costs a call."""
    if len(blocks) <= _MOST_BLOCKS:
        return blocks
    starts = range(0, len(blocks), _MOST_BLOCKS)
    return [b"".join(blocks[start : start + _MOST_BLOCKS]) for start in starts]


@asynccontextmanager
async def _watched(environ: Environ, receive: Receive) -> AsyncIterator[Presence]:
    """The client of a request, whose leaving is noticed for the time of the block."""
    known = environ.get(PRESENCE)
    if known is not None:
        yield known
        return
    client = environ[PRESENCE] = Presence()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        client.leave()

    watching = asyncio.create_task(watch())
    try:
        yield client
    finally:
        watching.cancel()
