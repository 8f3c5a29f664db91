"""A web server on a free loopback port that serves media well, or badly in every way we know.

    with Origin() as origin:
        origin.add("/video.mp4", answers.file(path))
        origin.url("/video.mp4"); origin.requests("/video.mp4")

A path that ends with "/" answers for everything below it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.origin import answers
from tests.support.origin.answers import Answer


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    path: str  # without the query
    target: str  # as sent
    headers: Mapping[str, str]  # names in lower case


class Origin:
    """The server; a context manager that leaves no thread busy and no port open."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.closing = threading.Event()
        self._answers: dict[str, Answer] = {}
        self._seen: list[Seen] = []
        self._bytes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = _Server((host, 0), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port of the server."""
        return int(self._server.server_address[1])

    def url(self, path: str) -> str:
        """The whole address of a path."""
        return f"http://{self._server.server_address[0]!s}:{self.port}{path}"

    def add(self, path: str, answer: Answer) -> str:
        """Answer a path (or, ending in "/", all below it) from now on; returns its address."""
        with self._lock:
            self._answers[path] = answer
        return self.url(path)

    def serve(self, folder: Path, prefix: str = "/") -> str:
        """Serve the files of a folder."""
        return self.add(prefix, answers.folder(folder))

    def requests(self, path: str, method: str | None = None) -> int:
        """How many requests came for a path (of any method, unless one is named)."""
        return len([seen for seen in self.log(path) if method in (None, seen.method)])

    def log(self, path: str | None = None) -> list[Seen]:
        """The requests in the order they came, of one path or of all."""
        with self._lock:
            return [seen for seen in self._seen if path in (None, seen.path)]

    def bytes_sent(self, path: str) -> int:
        """Body bytes handed to the network for a path."""
        with self._lock:
            return self._bytes.get(path, 0)

    def note(self, seen: Seen) -> int:
        """Record a request; its number among those of its path, from 1."""
        with self._lock:
            self._seen.append(seen)
            return len([earlier for earlier in self._seen if earlier.path == seen.path])

    def count(self, path: str, size: int) -> None:
        """Add to the bytes sent for a path."""
        with self._lock:
            self._bytes[path] = self._bytes.get(path, 0) + size

    def find(self, path: str) -> tuple[Answer, str]:
        """The answer for a path and the part of the path below it."""
        with self._lock:
            if path in self._answers:
                return self._answers[path], ""
            below = [key for key in self._answers if key.endswith("/") and path.startswith(key)]
            if not below:
                return answers.status(404), ""
            key = max(below, key=len)
            return self._answers[key], path[len(key) :]


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer, as the answers of `tests.support.origin.answers` see it."""

    protocol_version = "HTTP/1.1"
    server: _Server
    rest: str  # the path below the one that was added
    number: int  # of this request among those of its path, from 1

    def do_GET(self) -> None:
        """Find the answer and run it."""
        self._path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.number = self._origin.note(Seen(self.command, self._path, self.path, headers))
        answer, self.rest = self._origin.find(self._path)
        answer(self)

    def do_HEAD(self) -> None:
        """As GET; `body` sends nothing."""
        self.do_GET()

    @property
    def _origin(self) -> Origin:
        return self.server.origin

    @property
    def closing(self) -> bool:
        """Whether the origin is closing, so that endless answers end."""
        return self._origin.closing.is_set()

    def head(
        self,
        status: int,
        content_type: str,
        length: int | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send the status line and headers; without a length the connection ends the body."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is None and status != 304:
            self.send_header("Connection", "close")
        elif length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def body(self, data: bytes) -> None:
        """Send some of the body (nothing for HEAD)."""
        if self.command != "HEAD":
            self.wfile.write(data)
            self._origin.count(self._path, len(data))

    def pause(self, seconds: float | None) -> None:
        """Wait, without a number until the origin closes, and never longer."""
        self._origin.closing.wait(seconds)

    def log_message(self, format: str, *args: Any) -> None:
        """The origin keeps its own log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], origin: Origin) -> None:
        self.origin = origin
        self._open: set[socket.socket] = set()
        super().__init__(address, Exchange)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close the connections that clients keep open, so that no thread waits for them."""
        for connection in tuple(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client closed it first

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: these tests are about clients that disconnect in the middle."""
