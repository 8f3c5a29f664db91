"""`clipmill keys`: make, list and remove API keys in the file that the API reads."""

from __future__ import annotations

import json
from pathlib import Path

import click

from clipmill.local.keys import KeyRefused, make_key, read_keys, remove_key
from clipmill.terminal.session import json_option
from config.api_keys import SCOPES

file_option = click.option(
    "--file", "path", envvar="CLIPMILL_API_KEYS_FILE", show_envvar=True, required=True,
    type=click.Path(path_type=Path, dir_okay=False), help="The file of hashed keys.",
)  # fmt: skip


@click.group()
def keys() -> None:
    """Make, list and remove API keys.

    The file holds hashes only. A running API reads the file again when it changes.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, default=("read", "submit"),
    show_default=True, help="What the key may do; repeatable. `admin` sees the jobs of all keys.",
)  # fmt: skip
@file_option
@json_option
def new(name: str, scopes: tuple[str, ...], path: Path, as_json: bool) -> None:
    """Make a key called NAME and show it once."""
    try:
        key = make_key(path, name, scopes)
    except (KeyRefused, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({"name": name, "scopes": scopes, "key": key}))
        return
    click.echo(key)
    click.echo(f"Keep the key: {path} has only its hash.", err=True)


@keys.command("list")
@file_option
@json_option
def list_(path: Path, as_json: bool) -> None:
    """List the names and scopes of all keys."""
    try:
        lines = read_keys(path)
    except (KeyRefused, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([{"name": line.name, "scopes": line.scopes} for line in lines]))
        return
    for line in lines:
        click.echo(f"{line.name}\t{', '.join(line.scopes)}")


@keys.command()
@click.argument("name")
@file_option
@json_option
def remove(name: str, path: Path, as_json: bool) -> None:
    """Remove the key called NAME: from then on it is rejected."""
    try:
        remove_key(path, name)
    except (KeyRefused, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps({"name": name, "removed": True}) if as_json else f"Removed {name}.")
