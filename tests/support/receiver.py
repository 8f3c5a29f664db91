"""A server that receives webhooks, remembers them, and answers as a test says."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Received:
    """One request."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Reply:
    """An answer: its status and headers, and how long it takes. A status of 0 closes at once."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    drip: bool = False  # a byte of the head now and then, without an end


Script = Callable[[Received], Reply]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # with the usual five, connections of one moment wait for seconds


class Receiver:
    """A context manager: `url` is where to send to, `received` what came."""

    def __init__(
        self, script: Script = lambda _: Reply(), tls: ssl.SSLContext | None = None
    ) -> None:
        self.script = script
        self.received: list[Received] = []
        self._closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                came = Received(time.time(), self.path, headers, body)
                receiver.received.append(came)
                receiver.answer(self, receiver.script(came))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}/hook"

    def answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        self._closing.wait(reply.seconds)
        try:
            if reply.status == 0:
                handler.close_connection = True
                return
            while reply.drip and not self._closing.wait(0.2):
                handler.wfile.write(b"H")
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
        except OSError:
            return  # the sender has gone

    def wait_for(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[Received]:
        """The requests, once there are this many."""
        end = time.monotonic() + seconds
        while len(self.received) < count:
            assert time.monotonic() < end, f"only {len(self.received)} of {count} came"
            time.sleep(0.01)
        return list(self.received)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
