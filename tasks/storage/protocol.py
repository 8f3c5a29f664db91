"""What a storage does with finished files, wherever it keeps them. No caller learns where."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

_KEY = re.compile(r"[0-9a-z]{2}/[0-9a-z]{26}\.[a-z0-9]{1,8}")


@dataclass(frozen=True)
class StoredFile:
    """A file that was put into storage."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class LocalFile:
    """A stored file that this machine sends to a client itself."""

    path: Path


@dataclass(frozen=True)
class Redirect:
    """Where a client fetches a stored file from the storage itself, for a while."""

    url: str


@dataclass(frozen=True)
class Presentation:
    """How a client shall see a file: the headers that a storage which serves files must send."""

    media_type: str
    disposition: str  # the value of Content-Disposition


class Storage(Protocol):
    """Files under keys. A file is there whole or not at all.

    Every call raises StorageUnavailable when the storage does not answer or may not be used now,
    and ValueError for what is not a key.
    """

    def key_for(self, artifact_id: str, suffix: str) -> str:
        """The key that `put` will use; `suffix` without its dot."""

    def put(self, source: Path, artifact_id: str, suffix: str) -> StoredFile:
        """Move a finished file in. It appears under its key only when it is whole and durable.

        The source is gone afterwards. Raises StorageFull, or TooLarge for what is larger than a
        file may be there.
        """

    def has(self, key: str, size_bytes: int | None = None) -> bool:
        """Whether the file is there, and of that size if one is named."""

    def local(self, key: str, folder: Path) -> AbstractContextManager[Path]:
        """The file as a path for the block, not to be changed. Raises ArtifactExpired.

        A storage on another machine brings a copy into `folder`, where it may take room.
        """

    def open(self, key: str) -> BinaryIO:
        """The file's bytes. Raises ArtifactExpired.

        A file that is deleted meanwhile can be read to its end, or reading raises OSError.
        """

    def serve(self, key: str, presentation: Presentation) -> LocalFile | Redirect:
        """How a client gets the file. Raises ArtifactExpired."""

    def delete(self, key: str) -> None:
        """Remove a file, or what was brought of it so far; it is no fault if it is gone already."""

    def remove_unreferenced(
        self, older_than_seconds: float, referenced: Callable[[list[str]], set[str]]
    ) -> int:
        """Remove files that belong to nobody; how many there were.

        `referenced` says which of some artifact ids have a file. Younger files are left alone:
        their record may be about to be written.
        """

    def free_bytes(self) -> int | None:
        """Room that is left; None where no limit is known. Raises StorageUnavailable."""

    def check(self) -> None:
        """Raises StorageFull or StorageUnavailable, with the reason, when no file can be put."""


def key_of(artifact_id: str, suffix: str) -> str:
    """The key of an artifact's file. Raises ValueError when it would not be one."""
    # The id's last letters spread the files; the first ones are the time.
    return checked_key(f"{artifact_id[-2:]}/{artifact_id}.{suffix}")


def checked_key(key: str) -> str:
    """The key. Raises ValueError for what is not a key, such as a path that leads elsewhere."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def is_key(text: str) -> bool:
    """Whether this names a file as we name ours."""
    return _KEY.fullmatch(text) is not None
