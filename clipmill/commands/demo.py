"""`clipmill demo`: show Clipmill at work on this machine, with nothing set up."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from clipmill.client.errors import ClientError
from clipmill.demo.run import Clip, DemoFailed, Plan, Report, run_demo
from clipmill.demo.video import NoVideo
from clipmill.stack.processes import stop_signals_interrupt
from clipmill.stack.supervisor import StackError
from clipmill.terminal.session import json_option

LINE_WIDTH = 120  # of a log, which has no width of its own
INTERRUPTED = 130  # the exit status in a shell of a command that Ctrl-C ended


@click.command()
@click.option("--url", help="Cut this source instead of a video made here.")
@click.option(
    "--mode", type=click.Choice(["encode", "smart", "copy", "auto"]), default="encode",
    show_default=True, help="How the clips are cut.",
)  # fmt: skip
@click.option("--seconds", default=300.0, show_default=True, help="Length of the video made here.")
@click.option("--clips", default=12, show_default=True, help="How many clips.")
@click.option("--clip-seconds", default=15.0, show_default=True, help="Length of each clip.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False),
    help="Where the clips go.  [default: ./demo-output]",
)  # fmt: skip
@json_option
def demo(output: Path | None, as_json: bool, **options: Any) -> None:
    """Start everything here, cut a batch of clips, show what it cost, stop everything.

    Needs no preparation and leaves nothing but the clips. Exit 0 only when every clip succeeded.
    """
    plan = Plan(output=output or output_folder(), **options)
    width = None if sys.stdout.isatty() else LINE_WIDTH
    console = Console(stderr=as_json, width=width, highlight=False)
    try:
        with stop_signals_interrupt():
            report = run_demo(plan, console)
    except KeyboardInterrupt:
        click.echo("Stopped; nothing is left running.", err=True)
        sys.exit(INTERRUPTED)
    except (DemoFailed, StackError, ClientError, NoVideo) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(as_document(report), indent=2))
    else:
        show(report, console)
    sys.exit(0 if report.succeeded else 1)


def output_folder() -> Path:
    """`./demo-output`, or a new folder elsewhere when this folder is not writable."""
    folder = Path("demo-output").resolve()
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="clipmill-demo-output-"))
    return folder


def show(report: Report, console: Console) -> None:
    """The table of clips, then the cost of the whole."""
    table = Table(box=None, pad_edge=False)
    for title in ("file", "mode", "from", "seconds", "frames", "size", "took"):
        table.add_column(title, justify="left" if title in ("file", "mode") else "right")
    for clip in report.clips:
        table.add_row(*row(clip))
    console.print(table)
    good = sum(1 for clip in report.clips if clip.path)
    console.print(f"\n{good} of {len(report.clips)} clips in {report.wall_seconds:.1f} s")
    console.print(f"Peak memory of the whole stack: {report.peak_memory_bytes / 2**20:.0f} MiB")
    console.print(f"The clips are in {report.folder}", soft_wrap=True)


def row(clip: Clip) -> list[str]:
    if clip.path is None:
        reason = clip.job.error.code if clip.job.error else clip.job.state
        return ["-", f"[red]{reason}[/red]", *["-"] * 5]
    result = clip.job.result
    return [
        clip.path.name,
        str(result.get("mode", "")),
        f"{result['actual_start']:.2f}",
        f"{result['actual_end'] - result['actual_start']:.2f}",
        str(result["frames"]),
        f"{clip.path.stat().st_size / 1e6:.2f} MB",
        f"{clip.job.run_seconds or 0.0:.1f} s",
    ]


def as_document(report: Report) -> dict[str, Any]:
    return {
        "succeeded": report.succeeded,
        "wall_seconds": round(report.wall_seconds, 3),
        "peak_memory_bytes": report.peak_memory_bytes,
        "folder": str(report.folder),
        "clips": [
            {"path": str(clip.path) if clip.path else None, "job": clip.job.document}
            for clip in report.clips
        ],
    }
