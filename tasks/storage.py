"""Where finished files live. A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.errors import NO_ROOM, ArtifactExpired, StorageFull, StorageUnavailable, TooLarge

# A disk that has come loose may be there again at the next attempt.
_NOT_NOW = {errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}
_ABSENT = {errno.ENOENT, errno.ENOTDIR}
_KEY = re.compile(r"[0-9a-z]{2}/[0-9a-z]{26}\.[a-z0-9]{1,8}")


@dataclass(frozen=True)
class StoredFile:
    """A file that was put into storage."""

    key: str
    size_bytes: int
    sha256: str


class Storage:
    """Files in a local folder, two levels deep, named by us alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def at(cls, url: str) -> Storage:
        """The storage behind a `file:///…` URL; its folder is made if it is missing."""
        root = Path(unquote(urlsplit(url).path))
        root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def key_for(self, artifact_id: str, suffix: str) -> str:
        """The key that `put` will use; `suffix` without its dot."""
        # The id's last letters spread the files over the folders; the first ones are the time.
        return f"{artifact_id[-2:]}/{artifact_id}.{suffix}"

    def put(self, source: Path, artifact_id: str, suffix: str) -> StoredFile:
        """Move a finished file in. It appears under its key only when it is whole and on disk.

        Raises StorageFull, StorageUnavailable or TooLarge.
        """
        key = self.key_for(artifact_id, suffix)
        target = self._checked(key)
        partial = target.with_suffix(".part")
        try:
            target.parent.mkdir(exist_ok=True)
            with source.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            _move(source, partial)
            partial.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            _forget(partial)
            if error.errno in NO_ROOM:
                raise StorageFull("there is no room for the result") from error
            if error.errno == errno.EFBIG:
                raise TooLarge("the result is larger than a file may be here") from error
            if error.errno in _NOT_NOW or not self.root.is_dir():
                raise StorageUnavailable("the storage cannot be written") from error
            raise
        return StoredFile(key, target.stat().st_size, digest)

    def path(self, key: str) -> Path:
        """The local file of a key.

        Raises ArtifactExpired when it is gone, or StorageUnavailable.
        """
        path = self._checked(key)
        if self._size_of(path) is None:
            raise ArtifactExpired("the file is no longer kept")
        return path

    def has(self, key: str, size_bytes: int | None = None) -> bool:
        """Whether the file is there, and of that size if one is named.

        Raises StorageUnavailable.
        """
        found = self._size_of(self._checked(key))
        return found is not None and size_bytes in (None, found)

    def delete(self, key: str) -> None:
        """Remove a file, or what was brought of it so far; it is no fault if it is gone already."""
        target = self._checked(key)
        target.unlink(missing_ok=True)
        target.with_suffix(".part").unlink(missing_ok=True)

    def remove_strays(
        self, older_than_seconds: float, kept: Callable[[list[str]], set[str]]
    ) -> int:
        """Remove files that belong to nobody; how many there were.

        `kept` says which of some artifact ids have a file. Younger files are left alone: their
        record may be about to be written.
        """
        before = time.time() - older_than_seconds
        removed = 0
        for folder in list(self.root.iterdir()):
            # A download's own time is the site's; when it came to this name is ours.
            old = [path for path in _files_in(folder) if path.stat().st_ctime < before]
            known = kept([path.stem for path in old if path.suffix != ".part"])
            for path in old:
                if path.suffix == ".part" or path.stem not in known:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def free_bytes(self) -> int:
        """Room left on the disk."""
        return shutil.disk_usage(self.root).free

    def check(self) -> None:
        """Raises OSError when files cannot be written here."""
        probe = self.root / f".check-{os.getpid()}"
        probe.write_bytes(b"")
        # Another thread may have asked at the same moment.
        probe.unlink(missing_ok=True)

    def _size_of(self, path: Path) -> int | None:
        """The size of a file; None when it is not there, which only a storage that is can tell."""
        try:
            found = path.stat()
        except OSError as error:
            if error.errno in _NOT_NOW or not self.root.is_dir():
                raise StorageUnavailable("the storage cannot be read") from error
            if error.errno in _ABSENT:
                return None
            raise
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _checked(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a storage key: {key!r}")
        return self.root / key


def _forget(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:
        return  # a disk that takes nothing gives nothing back either: the sweep comes by later


def _files_in(folder: Path) -> list[Path]:
    """The files of a folder that were named as ours are."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _KEY.fullmatch(f"{folder.name}/{path.name}")]


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
