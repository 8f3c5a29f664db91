"""`python -m web.server`: serves the API on HOST:PORT until SIGTERM or SIGINT.

One process with many threads: requests end in milliseconds, and those that wait or stream only
hold a thread. Several processes would each need their own subscription and memory for nothing.
"""

from __future__ import annotations

import logging
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from config.logs import configure_logging
from config.settings import Settings, SettingsError, load_settings
from web.app import create_app
from web.services import EXTENSION, MOST_WAITING, Services

log = logging.getLogger(__name__)

# Those that wait must never take the last thread from those that do not.
_THREADS = MOST_WAITING + 100
_STOP_SECONDS = 10
_START_SECONDS = 30.0
# A client that sends its headers drop by drop holds a connection for no longer than this.
_HEADER_MILLISECONDS = 15_000


@click.command()
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path))
def main(ready_file: Path | None) -> None:
    """Serve the API. READY_FILE gets its URL once it answers."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(str(error))
    configure_logging(settings.log_format, settings.log_level)
    with _reserved(settings) as held:
        Server(settings, held.getsockname()[1], ready_file).serve()


def _reserved(settings: Settings) -> socket.socket:
    """A socket that keeps the port, 0 being any free one. Raises SystemExit when it is taken.

    The server shares its port (SO_REUSEPORT), so a second one on it would start without a word
    and take half of the requests. The first bind, which shares nothing, finds that out.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
            port = probe.getsockname()[1]
    except OSError as error:
        sys.exit(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}")
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((settings.host, port))
    return held
