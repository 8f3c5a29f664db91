"""A network link that can hang, as with a cut cable, or lose the answers to requests."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from pathlib import Path

LOST = 0.2  # share of answers that are lost; with a larger one no new connection would succeed


class Link:
    """A TCP port of loopback that leads to a Unix socket. Threads end when it is closed."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._hangs = threading.Event()
        self._loses_answers = threading.Event()
        self._open: set[socket.socket] = set()
        self.lost = 0  # answers, since the start
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL at which Redis clients reach the server through this link."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    @property
    def is_used(self) -> bool:
        """Whether a client is connected."""
        return bool(self._open)

    def hang(self) -> None:
        """From now on nothing arrives, in either direction, on old and new connections."""
        self._hangs.set()

    def lose_answers(self) -> None:
        """From now on a connection may end after the server has done a request."""
        self._loses_answers.set()

    def heal(self) -> None:
        """New connections work again; the connections that hung are dead, unknown to both ends."""
        self._hangs.clear()
        self._loses_answers.clear()

    def close(self) -> None:
        """Close the port and all connections."""
        for connection in (self._listener, *tuple(self._open)):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:  # the server is down, so the link is down too
                client.close()
                server.close()
                continue
            self._open |= {client, server}
            dead = threading.Event()
            for source, sink, answers in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._carry, args=(source, sink, answers, dead), daemon=True
                ).start()

    def _carry(
        self, source: socket.socket, sink: socket.socket, answers: bool, dead: threading.Event
    ) -> None:
        try:
            while data := source.recv(65536):
                if answers and self._loses_answers.is_set() and random.random() < LOST:
                    self.lost += 1
                    break
                if self._hangs.is_set():
                    dead.set()
                if not dead.is_set():
                    sink.sendall(data)
        except OSError:
            pass
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            self._open.discard(connection)
