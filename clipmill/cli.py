"""The command line: all commands under one name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from config.env_file import EnvFileError, take_settings_from

# Each command and its module, imported only when the command runs: `up` runs as long as the stack,
# and would keep the imports of all other commands in memory.
MODULES = {
    "up": "up",
    "demo": "demo",
    "submit": "submit",
    "watch": "jobs",
    "fetch": "jobs",
    "jobs": "jobs",
    "cancel": "jobs",
    "keys": "keys",
    "doctor": "doctor",
    "calibrate": "calibrate",
    "upgrade-tools": "upgrade",
}


class Commands(click.Group):
    """The commands of `MODULES`, in this order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without an import."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its module."""
        if cmd_name not in MODULES:
            return None
        module = import_module(f"clipmill.commands.{MODULES[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--env-file", type=click.Path(path_type=Path, dir_okay=False),
    help="Read settings from this file.  [default: ./.env, if it exists]",
)  # fmt: skip
@click.version_option(package_name="clipmill", prog_name="clipmill")
@click.pass_context
def main(ctx: click.Context, env_file: Path | None) -> None:
    """Extract, download and clip video by a job queue of your own.

    `clipmill up` runs everything on this machine; `submit`, `watch`, `fetch`, `jobs` and `cancel`
    use an API, here or elsewhere (--url or CLIPMILL_API_URL, --key or CLIPMILL_API_KEY).

    Exit status: 0 done, 1 a job failed or the command could not do its work, 2 wrong usage.
    """
    try:
        ctx.obj = take_settings_from(env_file)
    except EnvFileError as error:
        raise click.ClickException(str(error)) from error
