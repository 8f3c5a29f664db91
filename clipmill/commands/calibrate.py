"""`clipmill calibrate`: measure the memory of jobs on this machine."""

from __future__ import annotations

import sys

import click

from clipmill.stack.processes import Child, Command, stop_signals_interrupt
from clipmill.stack.services import PYTHON
from config.settings import process_environment

LONGEST_SECONDS = 24 * 3600.0
STOP_SECONDS = 10.0


@click.command()
@click.option("--full", is_flag=True, help="Also 2160p and every setting; takes 3 times as long.")
def calibrate(full: bool) -> None:
    """Measure how much memory jobs use on this machine, and store it for its workers.

    Makes small clips of videos that it draws itself, in a few minutes, and writes
    memory-table.json into CLIPMILL_DATA_DIR. Without this file workers use the shipped table.
    """
    words = ("-m", "worker.calibration", *(["--full"] if full else []))
    child = Child(Command((*PYTHON, *words), process_environment()))
    try:
        with stop_signals_interrupt():
            child.wait(LONGEST_SECONDS)
    except KeyboardInterrupt:
        child.ask_to_stop()
        child.wait(STOP_SECONDS)
    finally:
        status = child.end()
    sys.exit(status)
