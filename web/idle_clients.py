"""Cuts clients off that take nothing of what they are sent, and so would keep their place for ever.

Granian has no time limit for this and does not show its connections; but the kernel has one, which
every connection gets from the socket that it was accepted on.
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
    """Set the limit on what this process listens on, which it is about to do."""
    if not hasattr(socket, "TCP_USER_TIMEOUT") or not _DESCRIPTORS.is_dir():
        log.warning("clients that take nothing of what they are sent are not cut off here")
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
    log.warning("clients that take nothing of what they are sent are not cut off: no socket found")


def _listening() -> Iterator[socket.socket]:
    """Second descriptors of the TCP sockets that connections are accepted on."""
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
    """A socket by a second descriptor; None when it is something else, or closed by now."""
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
