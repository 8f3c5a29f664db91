"""Sending a file of this machine, with a bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from clipmill.terminal.session import Session


def send_file(session: Session, path: Path) -> Mapping[str, str]:
    """Send the file; the `source` of a request. Raises ClickException, ClientError."""
    try:
        size = path.stat().st_size
        with click.progressbar(
            length=size, label=f"Sending {path.name}", file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:  # fmt: skip
            sent = session.client.upload(path, on_bytes=lambda total: bar.update(total - bar.pos))
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from error
    return sent.source
