"""`python -m web.server`: serves the API on HOST:PORT until SIGTERM or SIGINT.

One process, in which one event loop reads requests and sends answers, and threads make them
(`web.gateway`).
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import click
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from config.logs import configure_logging
from config.settings import Settings, SettingsError, load_settings
from tasks.kinds import KINDS
from web.idle_clients import set_send_timeout

log = logging.getLogger(__name__)

_DESCRIPTORS = 8192
_STOP_SECONDS = 10
_START_SECONDS = 30.0
# A client that sends its headers drop by drop holds a connection for no longer than this.
_HEADER_MILLISECONDS = 15_000
# The buffer for an answer whose client does not read, beside two blocks; also the limit of a
# request's headers. Granian's own 408 KiB would be the largest part of a slow client's memory.
_BUFFER_BYTES = 64 * 1024
# Granian's log lines go through our own logging.
_LOGGING = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"propagate": True}},
}


@click.command()
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path))
def main(ready_file: Path | None) -> None:
    """Serve the API. Its URL is written to READY_FILE once it answers."""
    try:
        settings = load_settings(kinds=KINDS)
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging(settings.log_format, settings.log_level)
    # The rest of the descriptors is for files and the store.
    connections = _allowed_descriptors() * 3 // 4
    with reserved(settings) as held:
        address, port = held.getsockname()[:2]
        server = Server(address, port, connections, ready_file)
        server.serve_application(settings.client_silence_seconds)


def _allowed_descriptors() -> int:
    """The descriptors that this process may have, after raising the usual limit of 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(_DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return wanted


def reserved(settings: Settings) -> socket.socket:
    """A socket that reserves the port; 0 is any free port. Raises SystemExit if it is in use.

    The server shares its port (SO_REUSEPORT), so a second server on this port would start without
    an error and receive half of the requests. The first bind, which shares nothing, detects this.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            found = probe.getsockname()
    except OSError as error:
        sys.exit(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(found)
    return held


class Server(MPServer):
    """Granian that reports when it answers, and ends waiting requests before it stops."""

    def __init__(self, address: str, port: int, connections: int, ready_file: Path | None) -> None:
        super().__init__(
            "web.asgi:application",
            address=address,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_BUFFER_BYTES
            ),
            websockets=False,
            workers=1,
            backpressure=connections,
            workers_kill_timeout=_STOP_SECONDS,
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
        )
        self._address = (address, port)
        self._ready_file = ready_file
        # The pipe's end in the worker closes when this process closes its own end, or is killed.
        # (An Event would not do: setting it waits for its waiters, also for killed waiters.)
        self._life, self._hold = multiprocessing.Pipe(duplex=False)

    def serve_application(self, silence_seconds: float) -> None:
        """Serve until a signal; exit status 0 unless the application failed."""
        loader = _Loader(self._life, self._hold, silence_seconds)
        self.serve(target_loader=loader, wrap_loader=False)

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        """Start, and announce the URL once connections are accepted."""
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # its gap
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and not self.main_loop_interrupt.is_set():
            if self._accepts():
                self._announce()
                return
            time.sleep(0.02)

    def shutdown(self, exit_code: int = 0) -> None:
        """End the streams, then stop."""
        self._hold.close()
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]  # its gap

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(self._address, timeout=1):
                return True
        except OSError:
            return False

    def _announce(self) -> None:
        address, port = self._address
        url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        log.info("listening on %s", url)
        if self._ready_file is not None:
            partial = self._ready_file.with_suffix(".part")
            partial.write_text(f"{url}\n")
            partial.replace(self._ready_file)


class _Loader:
    """Makes the application in the process that serves it."""

    def __init__(self, life: Connection, hold: Connection, silence_seconds: float) -> None:
        self._life = life
        self._hold = hold
        self._silence_seconds = silence_seconds

    def __call__(self) -> Callable[..., Any]:
        # The worker's own copy would keep the pipe open.
        self._hold.close()
        # Imported after the fork, so that the parent, which only watches, stays small.
        module = importlib.import_module("web.asgi")
        threading.Thread(target=self._watch, args=(module.services,), daemon=True).start()
        threading.Thread(
            target=set_send_timeout, args=(self._silence_seconds,), daemon=True
        ).start()
        # Runs when the process ends in order, after its last request.
        Finalize(None, module.services.finish, exitpriority=1)
        application: Callable[..., Any] = module.application
        return application

    def _watch(self, services: Any) -> None:
        """End the streams when the parent stops; end the process when the parent was killed."""
        self._life.poll(None)
        services.close()
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            log.error("the parent process is gone")
            os._exit(1)


if __name__ == "__main__":
    main()
