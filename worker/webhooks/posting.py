"""Posts one message: to a checked address, within a bounded time, following nothing."""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any
from urllib.parse import quote, urlsplit

import httpcore2

from tasks.errors import JobError
from worker.egress.policy import Policy
from worker.webhooks.schedule import Answer

TRY_SECONDS = 15.0
_WRITTEN_PLAINLY = "/%:@!$&'()*+,;=~-._[]"
# What a connection may fail with; errors of TLS and time-outs of ours are OSErrors.
_FAILURES = (
    OSError, httpcore2.ProtocolError, httpcore2.NetworkError, httpcore2.TimeoutException
)  # fmt: skip
_REASONS: Mapping[type[Exception], str] = {
    TimeoutError: f"no answer within {TRY_SECONDS:.0f} s",
    httpcore2.TimeoutException: f"no answer within {TRY_SECONDS:.0f} s",
    httpcore2.ConnectError: "no connection",
    httpcore2.RemoteProtocolError: "the answer is not HTTP",
    httpcore2.NetworkError: "the connection broke",
}


class CheckedConnections(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to no others the name may stand for later."""

    def __init__(self, policy: Policy, resolver: Executor) -> None:
        self._policy = policy
        self._resolver = resolver
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """The first address that takes a connection. Raises JobError or ConnectError."""
        loop = asyncio.get_running_loop()
        addresses = await loop.run_in_executor(self._resolver, self._policy.addresses, host, port)
        failure: Exception = httpcore2.ConnectError("the host has no address")
        for address in addresses:
            try:
                return await self._plain.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


async def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    policy: Policy,
    resolver: Executor,
    trust: ssl.SSLContext,
) -> Answer:
    """Send a message once. Only the head of the answer is read: its body has no meaning."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(TRY_SECONDS):
            status, retry_after = await _exchange(
                url, headers, body, CheckedConnections(policy, resolver), trust
            )
    except JobError as error:
        return Answer(error=f"{error.code}: {error.message}", seconds=time.monotonic() - began)
    except _FAILURES as error:
        return Answer(error=_reason(error), seconds=time.monotonic() - began)
    return Answer(status, None, retry_after, time.monotonic() - began)


async def _exchange(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    backend: CheckedConnections,
    trust: ssl.SSLContext,
) -> tuple[int, float | None]:
    place = _place(url)
    fields = [
        ("Host", _host_field(url)),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        *headers.items(),
    ]
    request = httpcore2.Request("POST", place, headers=fields, content=body)
    connection = httpcore2.AsyncHTTPConnection(
        place.origin, ssl_context=trust, network_backend=backend
    )
    try:
        response = await connection.handle_async_request(request)
        return response.status, _retry_after(response.headers)
    finally:
        await connection.aclose()


def _place(url: str) -> httpcore2.URL:
    """The URL in the letters that go over the wire."""
    parts = urlsplit(url)
    assert parts.hostname is not None  # checked when the webhook was accepted
    target = quote(parts.path or "/", safe=_WRITTEN_PLAINLY)
    if parts.query:
        target += "?" + quote(parts.query, safe=_WRITTEN_PLAINLY + "?")
    host = parts.hostname.encode("idna")
    return httpcore2.URL(scheme=parts.scheme, host=host, port=parts.port, target=target)


def _host_field(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    return host if parts.port is None else f"{host}:{parts.port}"


def _reason(error: Exception) -> str:
    return next(
        (text for kind, text in _REASONS.items() if isinstance(error, kind)), "no connection"
    )


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds, from a number of them or a date; None for neither."""
    text = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode(
        "latin-1"
    )
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, until.timestamp() - time.time())
