"""Private folders: one for this worker process, and in it one for each attempt, always removed."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from config.timings import PRODUCTION, Timings
from tasks.errors import NO_ROOM, StorageFull, StorageUnavailable
from worker.engine.cleanup import remove_in_the_end

log = logging.getLogger(__name__)


class WorkFolder:
    """This process's folder below a root that several workers share.

    The kernel holds a lock on the folder for as long as the process lives, however it ends: a
    folder that can be locked has no owner any more.
    """

    def __init__(self, root: Path, name: str, timings: Timings = PRODUCTION) -> None:
        self._removal_retry_seconds = timings.removal_retry_seconds
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = root / name
        self._descriptor = _made_and_locked(self.path)

    @contextmanager
    def workspace(self, job_id: str, token: str) -> Iterator[Path]:
        """An empty folder for one attempt, gone when the block ends.

        Raises StorageFull or StorageUnavailable when no folder can be made, which is not the job's
        fault.
        """
        folder = self.path / workspace_name(job_id, token)
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            log.exception("the work folder cannot be used")
            if error.errno in NO_ROOM:
                raise StorageFull("the work folder of this machine has no space left") from error
            raise StorageUnavailable("the work folder of this machine cannot be used") from error
        try:
            yield folder
        finally:
            remove_in_the_end(partial(_remove, folder), self._removal_retry_seconds)

    def used_bytes(self, name: str) -> int:
        """What the files of a workspace take on the disk; 0 without such a workspace."""
        return sum(map(_file_bytes, (self.path / name).rglob("*")))

    def close(self) -> None:
        """Remove the folder and release its lock."""
        shutil.rmtree(self.path, onerror=_log_leftover)
        os.close(self._descriptor)


def workspace_name(job_id: str, token: str) -> str:
    """The name of an attempt's folder."""
    return f"{job_id}-{token}"


def _file_bytes(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:  # removed since it was listed
        return 0


def remove_leftovers(root: Path) -> int:
    """Remove the folders below the root whose worker is gone; how many there were."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return sum(map(_removed_if_ownerless, list(root.iterdir())))


def is_ownerless(folder: Path) -> bool:
    """Whether the folder, or the worker that it belongs to, is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:  # no folder of ours, or closed to us
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # its worker lives, or the file system knows no locks
    finally:
        os.close(descriptor)
    return True


def _made_and_locked(folder: Path) -> int:
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # waits for a worker that removes it this moment
        if _is_at(descriptor, folder):
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False


def _removed_if_ownerless(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:  # no folder of ours, gone already, or closed to us
        log.warning("not a leftover", extra={"values": {"path": str(folder), "why": str(error)}})
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, onerror=_log_leftover)
    except OSError:
        return False  # its worker lives, or the file system knows no locks
    finally:
        os.close(descriptor)
    return True


def _remove(folder: Path) -> None:
    """Remove as much of a folder as possible. Raises OSError if something is left."""
    failed: list[BaseException] = []

    def on_error(_function: object, _path: str, error: tuple[type, BaseException, object]) -> None:
        if not isinstance(error[1], FileNotFoundError):
            failed.append(error[1])

    shutil.rmtree(folder, onerror=on_error)
    if failed:
        raise failed[0]


def _log_leftover(_function: object, path: str, error: object) -> None:
    # Nothing is lost by a folder that stays: the next start removes it.
    log.warning("could not remove a leftover", extra={"values": {"path": path, "why": str(error)}})
