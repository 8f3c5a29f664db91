"""`clipmill up`: everything on this machine, in the foreground."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import click

from clipmill.stack.processes import stop_signals_interrupt
from clipmill.stack.services import running_stack
from clipmill.stack.supervisor import StackError
from config.logs import configure_logging
from config.settings import SettingsError, load_settings, process_environment

log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--ready-file", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the API's base URL to this file once everything answers.",
)  # fmt: skip
@click.pass_obj
def up(env_file: Path | None, ready_file: Path | None) -> None:
    """Run the whole of Clipmill here: broker, API and worker. Ctrl-C stops it all.

    Settings come from the environment (CLIPMILL_PORT, CLIPMILL_DATA_DIR, …) and from ./.env.
    Without CLIPMILL_REDIS_URL a Valkey server is started with its data in CLIPMILL_DATA_DIR.
    """
    environ = process_environment()
    try:
        settings = load_settings(environ)
    except SettingsError as error:
        raise click.ClickException(f"the settings cannot be used:\n{error}") from error
    configure_logging(settings.log_format, settings.log_level)
    try:
        if env_file:
            _say(f"Settings from {env_file}; the environment comes before them.")
        with stop_signals_interrupt(), running_stack(settings, environ) as stack:
            _say(f"Clipmill is ready: {stack.url}   (Ctrl-C stops it)")
            if ready_file:
                ready_file.write_text(stack.url)
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        _say("Clipmill has stopped.")
    except (StackError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _say(line: str) -> None:
    """Print a line. A full disk behind the output is no reason to stop everything."""
    try:
        # Unbuffered: a line left in a buffer would fail again at exit and set the exit status.
        os.write(sys.stdout.fileno(), f"{line}\n".encode())
    except OSError as error:
        log.warning("the standard output cannot be written: %s", error.strerror)
