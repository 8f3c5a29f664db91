"""What all processes of a test run share: a folder, and files that one process makes for all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder of this run, the same for every process of it."""
    base = factory.getbasetemp()
    # With several processes, each has a folder below the folder of the run.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = run / f"shared-{name}"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """The file at `path`; one process makes a missing file, the others wait for it.

    `make` writes to the path that it receives, which has the suffix of `path`.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                partial = path.with_name(f"making-{path.name}")
                make(partial)
                partial.rename(path)
    return path
