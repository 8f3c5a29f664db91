"""`clipmill upgrade-tools`: a newer yt-dlp, without a new Clipmill."""

from __future__ import annotations

import json

import click

from clipmill.local.upgrade import UpgradeFailed, go_back, upgrade
from clipmill.terminal.session import json_option
from config.settings import SettingsError, data_folder
from config.ytdlp import present_version


@click.command("upgrade-tools")
@click.option("--version", "wanted", help="This version of yt-dlp, not the newest.")
@click.option("--back", is_flag=True, help="Use the version before the last upgrade again.")
@json_option
def upgrade_tools(wanted: str | None, back: bool, as_json: bool) -> None:
    """Upgrade yt-dlp on its own, when a site has changed.

    The new version is installed in DATA_DIR/tools, tried, and used by every job that begins after
    that; nothing needs a restart. When it does not work, nothing changes.
    """
    if wanted and back:
        raise click.UsageError("--version and --back exclude each other")
    try:
        data_dir = data_folder()
        before = present_version(data_dir)
        now = go_back(data_dir) if back else upgrade(data_dir, wanted)
    except (UpgradeFailed, SettingsError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({"yt_dlp": {"before": before, "now": now}}))
    elif before == now:
        click.echo(f"yt-dlp {now} is used already.")
    else:
        click.echo(f"yt-dlp {now} is used from now on (before: {before}).")
