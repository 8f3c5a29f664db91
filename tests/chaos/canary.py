"""An address that no process of the system may ever reach: counts the connections."""

from __future__ import annotations

import contextlib
import socket
import threading

ADDRESS = "127.0.0.9"  # of this machine, and not among the networks that the world allows


class Canary:
    """Listens until it is closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server((ADDRESS, 0))
        self.visits = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def place(self) -> str:
        """Host and port."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.visits += 1
            visitor.close()
