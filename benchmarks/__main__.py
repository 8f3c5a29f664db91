"""`python -m benchmarks [PART…]`: run parts, print their tables, write their figures as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks.facts import machine_facts
from benchmarks.part import Setup
from benchmarks.parts import PARTS
from benchmarks.report import as_table, headline, write_json
from clipmill.stack.processes import stop_signals_interrupt

RESULTS = Path(__file__).with_name("results")
LINE_WIDTH = 120  # of a log, which has no width of its own
INTERRUPTED = 130  # the exit status in a shell of a command that Ctrl-C ended


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)), metavar="[PART]…")
@click.option(
    "--quick", is_flag=True, help="Small sizes: shows that it all runs, measures nothing."
)
@click.option(
    "--leave-out", multiple=True, metavar="WAY",
    help="Leave out one way of cutting (see docs/benchmarks.md); may be repeated.",
)  # fmt: skip
@click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), default=RESULTS,
    help="The folder of figures and of the source video.  [default: benchmarks/results]",
)  # fmt: skip
def main(parts: tuple[str, ...], quick: bool, leave_out: tuple[str, ...], results: Path) -> None:
    """Run the named PARTs, or all: queue, clips, memory, box."""
    console = Console(width=None if sys.stdout.isatty() else LINE_WIDTH, highlight=False)
    results.mkdir(parents=True, exist_ok=True)
    setup = Setup(quick, results.resolve(), frozenset(leave_out), console.print)
    try:
        with stop_signals_interrupt():
            for name in dict.fromkeys(parts or PARTS):
                run_part(name, setup, console)
    except KeyboardInterrupt:
        click.echo("Stopped; nothing is left running.", err=True)
        sys.exit(INTERRUPTED)


def run_part(name: str, setup: Setup, console: Console) -> None:
    """Run one part, print its tables and write its file."""
    facts = machine_facts()
    console.print(headline(name, facts, setup.quick), markup=False)
    outcome = PARTS[name](setup)
    for sheet in outcome.sheets:
        console.print(as_table(sheet), "")
    path = write_json(name, setup, facts, outcome)
    console.print(f"Figures: {path}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
