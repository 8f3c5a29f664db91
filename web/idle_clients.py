"""Disconnects clients that read nothing of their answer and would keep their slot for ever.

Granian has no time limit for this and does not expose its connections. But the kernel has a limit
that every connection inherits from the socket it was accepted on.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_DESCRIPTORS = Path("/proc/self/fd")
_PATIENCE_SECONDS = 30.0


def set_send_timeout(seconds: float) -> None:
    """Set the limit on the sockets on which this process listens, or is about to listen."""
    if not hasattr(socket, "TCP_USER_TIMEOUT") or not _DESCRIPTORS.is_dir():
        log.warning("clients that read nothing are not disconnected: this system cannot do it")
        return
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        listening = list(_listening())
        for found in listening:
            with found:
                found.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000))
                )
        if listening:
            return
        time.sleep(0.02)
    log.warning("clients that read nothing are not disconnected: no listening socket found")


def _listening() -> Iterator[socket.socket]:
    """The TCP sockets that accept connections, each by a second descriptor."""
    for link in list(_DESCRIPTORS.iterdir()):
        found = _socket_at(int(link.name))
        if found is None:
            continue
        of_tcp = found.family in (socket.AF_INET, socket.AF_INET6)
        if of_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            yield found
        else:
            found.close()


def _socket_at(descriptor: int) -> socket.socket | None:
    """A socket by a second descriptor; None when the descriptor is no socket, or closed by now."""
    try:
        own = os.dup(descriptor)
    except OSError:
        return None
    try:
        return socket.socket(fileno=own)
    except OSError as error:
        os.close(own)
        if error.errno != errno.ENOTSOCK:
            raise
        return None
