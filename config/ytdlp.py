"""Which yt-dlp is used: the one that came with Clipmill, or a newer one that was upgraded to.

Sites change more often than Clipmill is released. A newer one is in a folder of its own, named by
its version, and `current` leads to it. Every job looks anew, so an upgrade needs no restart.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

BUNDLED = (sys.executable, "-I", "-m", "yt_dlp")
# What `-m` does, with a folder before all others.
_FROM_FOLDER = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('yt_dlp', run_name='__main__', alter_sys=True)"
)
_PACKAGE = "yt_dlp"


def folder_of(data_dir: Path) -> Path:
    """Where versions that were upgraded to are."""
    return data_dir / "tools" / "yt-dlp"


def current(data_dir: Path) -> Path | None:
    """The folder of the version that is used; None: the one that came with Clipmill."""
    link = folder_of(data_dir) / "current"
    found = link.resolve()
    return found if link.is_symlink() and (found / _PACKAGE).is_dir() else None


def program(data_dir: Path) -> tuple[str, ...]:
    """The command that starts yt-dlp."""
    folder = current(data_dir)
    return program_in(folder) if folder is not None else BUNDLED


def program_in(folder: Path) -> tuple[str, ...]:
    """The command that starts the yt-dlp of this folder."""
    return (sys.executable, "-I", "-c", _FROM_FOLDER, str(folder))


def present_version(data_dir: Path) -> str:
    """The version that is used."""
    folder = current(data_dir)
    return folder.name if folder is not None else _bundled_version()


@cache
def _bundled_version() -> str:
    return version("yt-dlp")
