"""The proxy itself, a program: `python -P -m worker.egress.proxy`.

It serves tools over loopback, each job with a password of its own, and is told of jobs in lines of
JSON on its standard input. When that ends, it ends.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tasks.errors import BlockedAddress
from worker.egress.policy import Policy

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 15.0
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 120.0
BLOCK_BYTES = 256 * 1024
_LOOK_SECONDS = 5.0
_RESOLVERS = 16
_MOST_CONNECTIONS = 64  # of one job at once
_OF_THE_WAY = frozenset(
    {
        "proxy-authorization",
        "proxy-connection",
        "connection",
        "keep-alive",
        "te",
        "upgrade",
        "expect",
    }
)
_OF_THE_ANSWER = frozenset({b"connection", b"keep-alive", b"proxy-connection"})
# One line for every refusal: what lies behind a name must not be told by how it is refused.
_ANSWERS = {
    400: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    403: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    407: b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="job"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    502: b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


class Refused(Exception):
    """The request is answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Session:
    """What one job did on the network."""

    most_bytes: int
    hosts: dict[str, list[int]] = field(default_factory=dict)  # requests, received, sent
    refused: int = 0
    too_much: bool = False
    open: int = 0

    @property
    def received(self) -> int:
        return sum(numbers[1] for numbers in self.hosts.values())

    def to_dict(self) -> dict[str, Any]:
        """For the worker."""
        return {"hosts": self.hosts, "refused": self.refused, "too_much": self.too_much}


@dataclass(frozen=True)
class Asked:
    """A request for a connection: where to, and what to send there first."""

    host: str
    port: int
    tunnel: bool
    first: bytes


class Proxy:
    """Serves connections until its standard input ends."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sessions: dict[str, Session] = {}
        self._resolver = ThreadPoolExecutor(_RESOLVERS)
        self._tasks: set[asyncio.Task[None]] = set()

    def told(self, line: dict[str, Any]) -> dict[str, Any]:
        """What the worker says of a job, and the answer."""
        token = str(line["job"])
        if line["do"] == "open":
            self._sessions[token] = Session(int(line["most_bytes"]))
            return {}
        session = self._sessions.pop(token, None)
        return session.to_dict() if session is not None else {}

    async def serve(self, listener: socket.socket) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            task = loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, TimeoutError):
            try:
                await self._connect(client)
            except Refused as refusal:
                await asyncio.get_running_loop().sock_sendall(client, _ANSWERS[refusal.status])

    async def _connect(self, client: socket.socket) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head, rest = await _read_head(client)
        lines = head.decode("latin-1").split("\r\n")
        session = self._session_of(lines[1:])
        asked = _asked(lines, rest)
        if session.too_much or session.open >= _MOST_CONNECTIONS:
            raise Refused(403)
        session.open += 1
        try:
            with await self._open(session, asked) as site:
                await _exchange(client, site, session, asked)
        finally:
            session.open -= 1

    def _session_of(self, lines: list[str]) -> Session:
        """The job whose name and password the request has. Raises Refused."""
        for line in lines:
            name, _, value = line.partition(":")
            kind, _, text = value.strip().partition(" ")
            if name.lower() == "proxy-authorization" and kind.lower() == "basic":
                with contextlib.suppress(ValueError):
                    token = base64.b64decode(text, validate=True).decode().partition(":")[2]
                    if token in self._sessions:
                        return self._sessions[token]
        raise Refused(407)

    async def _open(self, session: Session, asked: Asked) -> socket.socket:
        """A connection to an address that was judged. Raises Refused."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await loop.run_in_executor(
                    self._resolver, self._policy.addresses, asked.host, asked.port
                )
        except BlockedAddress as error:
            session.refused += 1
            raise Refused(403) from error
        except (OSError, ValueError) as error:  # no such name, or none that can be one
            raise Refused(502) from error
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            site = socket.socket(family, socket.SOCK_STREAM)
            site.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await loop.sock_connect(site, (address, asked.port))
            except (OSError, TimeoutError):
                site.close()
                continue
            return site
        raise Refused(502)


async def _exchange(
    client: socket.socket, site: socket.socket, session: Session, asked: Asked
) -> None:
    """Pass bytes both ways until both sides have ended, or nothing moves any more."""
    loop = asyncio.get_running_loop()
    numbers = session.hosts.setdefault(f"{asked.host}:{asked.port}", [0, 0, 0])
    numbers[0] += 1
    moved = [time.monotonic()]
    if asked.tunnel:
        await loop.sock_sendall(client, b"HTTP/1.1 200 Connection established\r\n\r\n")
    await loop.sock_sendall(site, asked.first)
    numbers[2] += len(asked.first)

    def count(place: int, size: int) -> None:
        moved[0] = time.monotonic()
        numbers[place] += size
        session.too_much = session.too_much or session.received > session.most_bytes
        if session.too_much:
            raise ConnectionAbortedError

    async def watch() -> None:
        while time.monotonic() - moved[0] < IDLE_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)

    answer = _pass_on if asked.tunnel else _pass_answer_on
    ways = [
        asyncio.ensure_future(answer(site, client, lambda size: count(1, size))),
        asyncio.ensure_future(_pass_on(client, site, lambda size: count(2, size))),
    ]
    watching = asyncio.ensure_future(watch())
    try:
        # What the site sends is the answer: when it has ended, nothing more is to come.
        await asyncio.wait({ways[0], watching}, return_when=asyncio.FIRST_COMPLETED)
        if not ways[0].done() or ways[0].exception() is not None:
            _break(client)
    finally:
        for task in (*ways, watching):
            task.cancel()
        await asyncio.gather(*ways, watching, return_exceptions=True)


def _break(client: socket.socket) -> None:
    """Let the client see a broken connection, and not the end of an answer without a length."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _pass_on(from_: socket.socket, to: socket.socket, count: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    while block := await loop.sock_recv(from_, BLOCK_BYTES):
        count(len(block))
        await loop.sock_sendall(to, block)
    to.shutdown(socket.SHUT_WR)


async def _pass_answer_on(
    site: socket.socket, client: socket.socket, count: Callable[[int], None]
) -> None:
    """The same for an answer that is not encrypted: it says that its connection ends with it.

    A client would send its next request on the connection, which may be for another site.
    """
    loop = asyncio.get_running_loop()
    read = b""
    while b"\r\n\r\n" not in read and len(read) <= HEAD_BYTES:
        block = await loop.sock_recv(site, BLOCK_BYTES)
        if not block:
            break
        count(len(block))
        read += block
    head, end, rest = read.partition(b"\r\n\r\n")
    if end:
        lines = head.split(b"\r\n")
        kept = [it for it in lines if it.partition(b":")[0].strip().lower() not in _OF_THE_ANSWER]
        read = b"\r\n".join([*kept, b"Connection: close", b"", b""]) + rest
    await loop.sock_sendall(client, read)
    await _pass_on(site, client, count)


async def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came behind it. Raises Refused."""
    loop = asyncio.get_running_loop()
    read = b""
    while b"\r\n\r\n" not in read:
        block = await loop.sock_recv(client, HEAD_BYTES)
        read += block
        if not block or len(read) > HEAD_BYTES:
            raise Refused(400)
    head, _, rest = read.partition(b"\r\n\r\n")
    return head, rest


def _asked(lines: list[str], rest: bytes) -> Asked:
    """What a request asks for. Raises Refused."""
    try:
        method, target, _ = lines[0].split(" ")
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(400) from error
    if not host or parts.username is not None:
        raise Refused(400)
    if method == "CONNECT":
        if port is None:
            raise Refused(400)
        return Asked(host, port, True, rest)
    if parts.scheme != "http":
        raise Refused(400)
    path = target[len("http://") + len(parts.netloc) :] or "/"
    fields = [it for it in lines[1:] if it.partition(":")[0].strip().lower() not in _OF_THE_WAY]
    # One request a connection: the next one may be for another site.
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "Connection: close", "", ""])
    return Asked(host, port or 80, False, head.encode("latin-1") + rest)


async def run() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    began = json.loads(await lines.readline())
    allowed = [ipaddress.ip_network(text) for text in began["allowed"]]
    proxy = Proxy(Policy(allowed, began["own"]))
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        listener.setblocking(False)
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        serving = asyncio.ensure_future(proxy.serve(listener))
        while line := await lines.readline():
            print(json.dumps(proxy.told(json.loads(line))), flush=True)
        serving.cancel()


if __name__ == "__main__":
    asyncio.run(run())
