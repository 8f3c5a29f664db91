"""What every command that speaks to an API has in common: its options, its errors, its output."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from clipmill.client import DEFAULT_URL, Client
from clipmill.errors import ClientError

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Session:
    """The API that a command speaks to, and how it should answer."""

    client: Client
    as_json: bool

    def print(self, text: str, document: Any) -> None:
        """The text for people, the document for scripts."""
        self.say(text)
        self.tell(document)

    def say(self, text: str) -> None:
        """For people only."""
        if not self.as_json:
            click.echo(text)

    def tell(self, document: Any) -> None:
        """For scripts only; once, for a script reads one document."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))

    def complain(self, of: str, fault: ClientError) -> None:
        """One of several things could not be done; the others are none the worse for it."""
        click.echo(f"Error: {of}: {fault}", err=True)


def json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")(
        function
    )


def api_command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--url`, `--key` and `--json`, and a Session as its first argument."""

    @click.option(
        "--url", envvar="CLIPMILL_API_URL", default=DEFAULT_URL, show_default=True,
        show_envvar=True, help="The API to speak to.",
    )  # fmt: skip
    @click.option("--key", envvar="CLIPMILL_API_KEY", show_envvar=True, help="The key to show it.")
    @json_option
    @functools.wraps(function)
    def command(url: str, key: str | None, as_json: bool, **arguments: Any) -> None:
        try:
            with Client(url, key) as client:
                function(Session(client, as_json), **arguments)
        except ClientError as error:
            raise click.ClickException(str(error)) from error

    return command


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were really given."""
    return {name: value for name, value in arguments.items() if value not in (None, ())}
