"""The tool `smartcut` from PyPI, in an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.clips.sizes import Range
from benchmarks.clips.ways import Argv
from clipmill.stack.processes import run_tool

VERSION = "1.7"
INSTALL_SECONDS = 600.0


class NotInstalled(Exception):
    """The tool could not be installed; the message is pip's."""


def installed_smartcut(folder: Path) -> Path:
    """The program, installed at the first call. Raises NotInstalled."""
    environment = folder / f"smartcut-{VERSION}"
    program = environment / "bin" / "smartcut"
    if not program.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(environment)])
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, f"smartcut=={VERSION}"])
    return program


def smartcut_argv(program: Path) -> Argv:
    """The program's command for one clip: keep this range."""

    def argv(source: Path, wanted: Range, target: Path) -> list[str]:
        keep = f"{wanted.start:.3f},{wanted.end:.3f}"
        return [str(program), str(source), str(target), "--keep", keep]

    return argv


def _run(argv: list[str]) -> None:
    try:
        done = run_tool(argv, timeout_seconds=INSTALL_SECONDS)
    except OSError as error:
        raise NotInstalled(str(error)) from error
    if done.status != 0:
        raise NotInstalled(done.text.strip()[-300:])
