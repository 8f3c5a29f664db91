"""What all commands that use an API have in common: their options, errors and output."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from clipmill.client import DEFAULT_URL, Client
from clipmill.client.errors import ClientError

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Session:
    """The API that a command uses, and the form of the command's output."""

    client: Client
    as_json: bool

    def print(self, text: str, document: Any) -> None:
        """The text for people, the document for scripts."""
        self.print_text(text)
        self.print_json(document)

    def print_text(self, text: str) -> None:
        """For people only."""
        if not self.as_json:
            click.echo(text)

    def print_json(self, document: Any) -> None:
        """For scripts only. Call it once, since a script reads one document."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))

    def print_error(self, of: str, fault: ClientError) -> None:
        """Report that the work on one of several items failed; the others go on."""
        click.echo(f"Error: {of}: {fault}", err=True)


def json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")(
        function
    )


def api_command(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--url`, `--key` and `--json` to a command, and pass it a Session as first argument."""

    @click.option(
        "--url", envvar="CLIPMILL_API_URL", default=DEFAULT_URL, show_default=True,
        show_envvar=True, help="The API to use.",
    )  # fmt: skip
    @click.option("--key", envvar="CLIPMILL_API_KEY", show_envvar=True, help="The API key to send.")
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
    """The options that the user set."""
    return {name: value for name, value in arguments.items() if value not in (None, ())}
