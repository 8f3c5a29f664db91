"""Files in a folder that all machines of a system see, two levels deep, named by us alone."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from tasks.errors import NO_ROOM, ArtifactExpired, StorageFull, StorageUnavailable, TooLarge
from tasks.storage.protocol import (
    LocalFile,
    Presentation,
    StoredFile,
    checked_key,
    is_key,
    key_of,
)

# A disk that has come loose may be there again at the next attempt.
_NOT_NOW = {errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}
_ABSENT = {errno.ENOENT, errno.ENOTDIR}


class FolderStorage:
    """A storage in a local folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def at(cls, url: str) -> FolderStorage:
        """The storage behind a `file:///…` URL; its folder is made if it is missing."""
        root = Path(unquote(urlsplit(url).path))
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def key_for(self, artifact_id: str, suffix: str) -> str:
        """The key that `put` will use."""
        return key_of(artifact_id, suffix)

    def put(self, source: Path, artifact_id: str, suffix: str) -> StoredFile:
        """Move a file in, from this disk or another."""
        key = key_of(artifact_id, suffix)
        target = self._path(key)
        partial = target.with_suffix(".part")
        with self._disk_that("be written"):
            try:
                target.parent.mkdir(exist_ok=True)
                with source.open("rb") as file:
                    digest = file_digest(file, "sha256").hexdigest()
                _move(source, partial)
                partial.replace(target)
                _sync_folder(target.parent)
            except OSError:
                # A disk that takes nothing gives nothing back either: the sweep comes by later.
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
                raise
            return StoredFile(key, target.stat().st_size, digest)

    def has(self, key: str, size_bytes: int | None = None) -> bool:
        """Whether the file is there, which only a folder that is there can tell."""
        found = self._size_of(self._path(key))
        return found is not None and size_bytes in (None, found)

    @contextmanager
    def local(self, key: str, folder: Path) -> Iterator[Path]:
        """The file itself: there is no need for a copy."""
        yield self._existing(key)

    def open(self, key: str) -> BinaryIO:
        """The file's bytes, which outlive its deletion."""
        path = self._existing(key)
        try:
            with self._disk_that("be read"):
                return path.open("rb")
        except FileNotFoundError as error:  # deleted since we looked
            raise ArtifactExpired("the file is no longer kept") from error

    def serve(self, key: str, presentation: Presentation) -> LocalFile:
        """The file itself, for this machine to send."""
        return LocalFile(self._existing(key))

    def delete(self, key: str) -> None:
        """Remove a file and its part."""
        target = self._path(key)
        with self._disk_that("be written"):
            target.unlink(missing_ok=True)
            target.with_suffix(".part").unlink(missing_ok=True)

    def remove_unreferenced(
        self, older_than_seconds: float, referenced: Callable[[list[str]], set[str]]
    ) -> int:
        """Remove files named as ours are, and parts of them, that no record tells of."""
        before, removed = time.time() - older_than_seconds, 0
        with self._disk_that("be written"):
            for folder in list(self._root.iterdir()):
                # A download's own time is the site's; when it came to this name is ours.
                old = [path for path in _files_in(folder) if path.stat().st_ctime < before]
                known = referenced([path.stem for path in old if path.suffix != ".part"])
                for path in old:
                    if path.suffix == ".part" or path.stem not in known:
                        path.unlink(missing_ok=True)
                        removed += 1
        return removed

    def free_bytes(self) -> int:
        """Room left on the folder's disk."""
        with self._disk_that("be written"):
            if not os.access(self._root, os.W_OK):
                raise StorageUnavailable("the storage cannot be written")
            return shutil.disk_usage(self._root).free

    def check(self) -> None:
        """Make an empty file and remove it."""
        probe = self._root / f".check-{os.getpid()}"
        try:
            probe.write_bytes(b"")
            # Another thread may have asked at the same moment.
            probe.unlink(missing_ok=True)
        except OSError as error:
            reason = f"artifacts cannot be stored: {error.strerror}"
            full = error.errno in NO_ROOM
            raise (StorageFull(reason) if full else StorageUnavailable(reason)) from error

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _existing(self, key: str) -> Path:
        path = self._path(key)
        if self._size_of(path) is None:
            raise ArtifactExpired("the file is no longer kept")
        return path

    def _size_of(self, path: Path) -> int | None:
        """The size of a file; None when it is not there."""
        try:
            with self._disk_that("be read"):
                found = path.stat()
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    @contextmanager
    def _disk_that(self, cannot: str) -> Iterator[None]:
        """Say of an error of the disk what it means; others pass, as that a source is missing."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StorageFull("the storage has no room left") from error
            if error.errno == errno.EFBIG:
                raise TooLarge("the result is larger than a file may be here") from error
            if error.errno in _NOT_NOW or not self._root.is_dir():
                raise StorageUnavailable(f"the storage cannot {cannot}") from error
            raise


def _files_in(folder: Path) -> list[Path]:
    """The files of a folder that were named as ours are."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if is_key(f"{folder.name}/{path.name}")]


def _move(source: Path, target: Path) -> None:
    """Bring a file under a name on the target's disk, and its bytes onto that disk."""
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        source.unlink()
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
