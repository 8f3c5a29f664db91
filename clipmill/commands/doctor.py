"""`clipmill doctor`: whether Clipmill can work here, and if not, what to do."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from clipmill.local.doctor import Finding, examine
from clipmill.terminal.session import json_option

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Try everything that Clipmill needs here, and say how to fix what fails.

    Exit 1 when a check failed; a warning alone is no failure.
    """
    findings = examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            show(finding)
    sys.exit(1 if any(finding.level == "fail" for finding in findings) else 0)


def show(finding: Finding) -> None:
    level = click.style(f"{finding.level:4}", fg=COLOURS[finding.level])
    click.echo(f"{level}  {finding.name:12}  {finding.detail}")
    if finding.remedy:
        click.echo(f"{'':18}  → {finding.remedy}")
