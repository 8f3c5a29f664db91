"""A private folder for one attempt, always removed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def workspace(root: Path, job_id: str, token: str) -> Iterator[Path]:
    """An empty folder that only we can read, gone when the block ends."""
    folder = root / f"{job_id}-{token}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, onerror=_log_leftover)


def remove_leftovers(root: Path) -> int:
    """Remove the folders that an earlier worker in the same place left; how many there were."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    leftovers = list(root.iterdir())
    for folder in leftovers:
        shutil.rmtree(folder, onerror=_log_leftover)
    return len(leftovers)


def _log_leftover(_function: object, path: str, error: object) -> None:
    # Nothing is lost by a folder that stays: the next start removes it.
    log.warning("could not remove a leftover", extra={"values": {"path": path, "why": str(error)}})
