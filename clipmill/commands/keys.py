"""`clipmill keys`: make, list, change, rotate and revoke API keys in their file."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from clipmill.local.keys import (
    KeyRefused,
    change_key,
    make_key,
    read_keys,
    revoke_key,
    rotate_key,
)
from clipmill.terminal.session import Session, api_command, given, json_option
from config.api_keys import SCOPES, KeyLimits, KeyLine
from config.settings import SettingsError, keys_path
from config.values import above_zero, parse_duration, parse_networks, parse_size

Function = TypeVar("Function", bound=Callable[..., Any])


class Parsed(click.ParamType[Any]):
    """A value in the words of the settings: `10GiB`, `30d`."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the text means; a fault is wrong usage."""
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as fault:
            self.fail(f"{value!r} {fault}", param, ctx)


DURATION = Parsed("duration", above_zero(parse_duration))
SIZE = Parsed("size", above_zero(parse_size))
NETWORKS = Parsed("networks", parse_networks)
COUNT = click.IntRange(min=1)

# Each option of `new` and `change`, and the limit that it sets.
_LIMITS = {
    "requests_per_second": (COUNT, "Requests in any second."),
    "requests_per_minute": (COUNT, "Requests in any minute."),
    "running_jobs": (COUNT, "Jobs that run at once."),
    "queued_jobs": (COUNT, "Jobs that wait at once."),
    "bytes_per_day": (SIZE, "What its downloads and uploads may bring a day, such as 50GiB."),
    "media_seconds_per_day": (DURATION, "How much its clips may hold a day, such as 10h."),
}


def limit_options(function: Function) -> Function:
    """Add an option for each limit, for expiry and for networks."""
    options = [
        click.option(f"--{name.replace('_', '-')}", name, type=kind, help=text)
        for name, (kind, text) in _LIMITS.items()
    ]
    options.append(click.option("--expires-in", type=DURATION, help="From now on, such as 90d."))
    options.append(
        click.option("--networks", type=NETWORKS, help="Only clients in these, such as 10.0.0.0/8.")
    )
    for option in reversed(options):
        function = option(function)
    return function


def key_command(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--file` and `--json` to a command, and turn refusals into errors."""

    @click.option(
        "--file", "path", type=click.Path(path_type=Path, dir_okay=False),
        help="The file of hashes.  [default: CLIPMILL_API_KEYS_FILE, or api-keys in DATA_DIR]",
    )  # fmt: skip
    @json_option
    @functools.wraps(function)
    def command(path: Path | None, as_json: bool, **arguments: Any) -> None:
        try:
            function(path or keys_path(), as_json, **arguments)
        except (KeyRefused, SettingsError, OSError) as error:
            raise click.ClickException(str(error)) from error

    return command


@click.group()
def keys() -> None:
    """Make, list, change, rotate and revoke API keys.

    The file holds hashes only. A running API reads it again when it changes. From the first key on
    the API answers nobody without a key.
    """


scope_option = click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True,
    help="What the key may do; repeatable. `admin` sees the jobs of all keys.  "
    "[default: read, submit]",
)  # fmt: skip


@keys.command()
@click.argument("name")
@scope_option
@limit_options
@key_command
def new(path: Path, as_json: bool, name: str, scopes: tuple[str, ...], **options: Any) -> None:
    """Make a key called NAME and show it once."""
    key = make_key(path, name, scopes or ("read", "submit"), **_fields(options))
    _show(path, as_json, name, key)


@keys.command()
@click.argument("name")
@click.option("--overlap", type=DURATION, help="How long the old secret counts too.")
@key_command
def rotate(path: Path, as_json: bool, name: str, overlap: float | None) -> None:
    """Make a new secret for the key called NAME, and show it once.

    The old one is rejected at once, or after the overlap.
    """
    _show(path, as_json, name, rotate_key(path, name, overlap or 0.0))


def _show(path: Path, as_json: bool, name: str, key: str) -> None:
    (line,) = [line for line in read_keys(path) if line.name == name]
    if as_json:
        click.echo(json.dumps({**_shown(line), "key": key}))
        return
    click.echo(key)
    click.echo(f"Keep the key: {path} has only its hash.", err=True)


@keys.command()
@click.argument("name")
@scope_option
@limit_options
@key_command
def change(path: Path, as_json: bool, name: str, scopes: tuple[str, ...], **options: Any) -> None:
    """Give the key called NAME these limits, and take its others; its secret stays."""
    fields = _fields(options) | ({"scopes": scopes} if scopes else {})
    line = change_key(path, name, **fields)
    click.echo(json.dumps(_shown(line)) if as_json else _line(line))


@keys.command("list")
@key_command
def list_(path: Path, as_json: bool) -> None:
    """List all keys, with what they may do and what limits them."""
    lines = read_keys(path)
    if as_json:
        click.echo(json.dumps([_shown(line) for line in lines]))
        return
    for line in lines:
        click.echo(_line(line))


@keys.command()
@click.argument("name")
@key_command
def revoke(path: Path, as_json: bool, name: str) -> None:
    """Revoke the key called NAME: within a second it is rejected everywhere."""
    revoke_key(path, name)
    click.echo(json.dumps({"name": name, "revoked": True}) if as_json else f"Revoked {name}.")


@keys.command()
@click.argument("name")
@api_command
def adopt(session: Session, name: str) -> None:
    """Give the jobs that were made without a key to the key called NAME.

    Asks the API, with a key of the scope `admin`. Jobs that run now stay as they are.
    """
    found = session.client.adopt(name)
    left = f"; {found['left']} run now: ask again later" if found["left"] else ""
    session.print(f"{name} has {found['adopted']} jobs more{left}.", found)


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a key from the options of a command."""
    seconds = options.pop("expires_in")
    return {
        "networks": options.pop("networks") or (),
        "expires_at": round(time.time() + seconds) if seconds else None,
        "limits": KeyLimits(**given(options)),
    }


def _shown(line: KeyLine) -> dict[str, Any]:
    expires = line.expires_at
    return {
        "name": line.name,
        "scopes": list(line.scopes),
        "expires_at": datetime.fromtimestamp(expires, UTC).isoformat() if expires else None,
        "networks": [str(network) for network in line.networks],
        "limits": line.limits.to_dict(),
    }


def _line(line: KeyLine) -> str:
    """A key in one line for people."""
    shown = _shown(line)
    limits = [f"{name.replace('_', ' ')} {value:g}" for name, value in shown["limits"].items()]
    words = [line.name, ", ".join(line.scopes), *limits]
    if shown["expires_at"]:
        over = line.expires_at is not None and line.expires_at <= time.time()
        words.append(f"{'expired' if over else 'expires'} {shown['expires_at'][:16]}Z")
    if line.networks:
        words.append("only from " + ", ".join(shown["networks"]))
    return "\t".join(words)
