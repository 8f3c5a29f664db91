"""The command line: all commands under one name."""

from __future__ import annotations

import click

from clipmill.commands.demo import demo
from clipmill.commands.doctor import doctor
from clipmill.commands.jobs import cancel, fetch, jobs, watch
from clipmill.commands.keys import keys
from clipmill.commands.submit import submit
from clipmill.commands.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="clipmill", prog_name="clipmill")
def main() -> None:
    """Extract, download and clip video by a job queue of your own.

    `clipmill up` runs everything on this machine; `submit`, `watch`, `fetch`, `jobs` and `cancel`
    speak to an API, here or elsewhere (--url or CLIPMILL_API_URL, --key or CLIPMILL_API_KEY).

    Exit status: 0 done, 1 a job failed or the command could not do its work, 2 wrong usage.
    """


for command in (up, demo, submit, watch, fetch, jobs, cancel, keys, doctor):
    main.add_command(command)
