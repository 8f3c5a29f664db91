"""Files in a folder that all machines of a system share, two levels deep, named by us alone."""

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

# A disk that was disconnected may be back at the next attempt.
_NOT_NOW = {errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}
_ABSENT = {errno.ENOENT, errno.ENOTDIR}


# Other users of the machine read nothing; a program of our group (a backup, a web server) may.
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640


class FolderStorage:
    """A storage in a local folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def at(cls, url: str) -> FolderStorage:
        """The storage at a `file:///…` URL; makes its folder if that is missing."""
        root = Path(unquote(urlsplit(url).path))
        root.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return cls(root)

    def key_for(self, artifact_id: str, suffix: str) -> str:
        """The key that `put` will use."""
        return key_of(artifact_id, suffix)

    def put(self, source: Path, artifact_id: str, suffix: str) -> StoredFile:
        """Move a file into the storage, from this disk or another."""
        key = key_of(artifact_id, suffix)
        target = self._path(key)
        partial = target.with_suffix(".part")
        with self._disk_that("be written"):
            try:
                target.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
                with source.open("rb") as file:
                    digest = file_digest(file, "sha256").hexdigest()
                _move(source, partial)
                partial.chmod(_FILE_MODE)
                partial.replace(target)
                _sync_folder(target.parent)
            except OSError:
                # A disk that cannot be written keeps the part too: the sweep removes it later.
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
                raise
            return StoredFile(key, target.stat().st_size, digest)

    def has(self, key: str, size_bytes: int | None = None) -> bool:
        """Whether the file is there. Raises StorageUnavailable when the folder itself is absent."""
        found = self._size_of(self._path(key))
        return found is not None and size_bytes in (None, found)

    @contextmanager
    def local(self, key: str, folder: Path) -> Iterator[Path]:
        """The file itself: no copy is needed."""
        yield self._existing(key)

    def open(self, key: str) -> BinaryIO:
        """The file's bytes, which can be read to the end also after a deletion."""
        path = self._existing(key)
        try:
            with self._disk_that("be read"):
                return path.open("rb")
        except FileNotFoundError as error:  # deleted since the check
            raise ArtifactExpired("the file is no longer kept") from error

    def serve(self, key: str, presentation: Presentation) -> LocalFile:
        """The file itself, for this machine to send."""
        return LocalFile(self._existing(key))

    def delete(self, key: str) -> None:
        """Remove a file, and the part of it that a broken move left."""
        target = self._path(key)
        with self._disk_that("be written"):
            target.unlink(missing_ok=True)
            target.with_suffix(".part").unlink(missing_ok=True)

    def remove_unreferenced(
        self, older_than_seconds: float, referenced: Callable[[list[str]], set[str]]
    ) -> int:
        """Remove files and parts that have our form of name and no record."""
        before, removed = time.time() - older_than_seconds, 0
        with self._disk_that("be written"):
            for folder in list(self._root.iterdir()):
                # The site sets the mtime of a download; the ctime is when the file got this name.
                old = [path for path in _files_in(folder) if path.stat().st_ctime < before]
                known = referenced([path.stem for path in old if path.suffix != ".part"])
                for path in old:
                    if path.suffix == ".part" or path.stem not in known:
                        path.unlink(missing_ok=True)
                        removed += 1
        return removed

    def free_bytes(self) -> int:
        """Free bytes on the disk of the folder."""
        with self._disk_that("be written"):
            if not os.access(self._root, os.W_OK):
                raise StorageUnavailable("the storage cannot be written")
            return shutil.disk_usage(self._root).free

    def check(self) -> None:
        """Make an empty file and remove it."""
        probe = self._root / f".check-{os.getpid()}"
        try:
            probe.write_bytes(b"")
            # Another thread may have removed it: both use the same name.
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
        """The size of a file; None when the file is absent."""
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
        """Turn errors of the disk into job errors; others pass, such as a missing source file."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_ROOM:
                raise StorageFull("the storage has no space left") from error
            if error.errno == errno.EFBIG:
                raise TooLarge("the result is larger than a file of this storage may be") from error
            if error.errno in _NOT_NOW or not self._root.is_dir():
                raise StorageUnavailable(f"the storage cannot {cannot}") from error
            raise


def _files_in(folder: Path) -> list[Path]:
    """The files of a folder whose names have our form."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if is_key(f"{folder.name}/{path.name}")]


def _move(source: Path, target: Path) -> None:
    """Move a file to a name on the disk of the target, and flush its bytes to that disk."""
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
