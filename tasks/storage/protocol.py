"""What a storage does with finished files. No caller learns where the files are."""

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
    """A URL at which a client fetches a file from the storage itself, valid for a limited time."""

    url: str


@dataclass(frozen=True)
class Presentation:
    """How a client shall receive a file: the headers that a storage which serves files sends."""

    media_type: str
    disposition: str  # the value of Content-Disposition


class Storage(Protocol):
    """Files under keys. A file is there as a whole or not at all.

    Every call raises StorageUnavailable when the storage does not answer or may not be used now,
    and ValueError for a text that is not a key.
    """

    def key_for(self, artifact_id: str, suffix: str) -> str:
        """The key that `put` will use; `suffix` without its dot."""

    def put(self, source: Path, artifact_id: str, suffix: str) -> StoredFile:
        """Move a finished file in. It appears under its key only when it is complete and durable.

        The source is gone afterwards. Raises StorageFull, or TooLarge for a file that is larger
        than the storage allows.
        """

    def has(self, key: str, size_bytes: int | None = None) -> bool:
        """Whether the file is there, and has `size_bytes` if that is set."""

    def local(self, key: str, folder: Path) -> AbstractContextManager[Path]:
        """The file as a path for the block, not to be changed. Raises ArtifactExpired.

        A storage on another machine copies the file into `folder`, where the copy takes space.
        """

    def open(self, key: str) -> BinaryIO:
        """The file's bytes. Raises ArtifactExpired.

        When the file is deleted meanwhile, it can be read to the end, or reading raises OSError.
        """

    def serve(self, key: str, presentation: Presentation) -> LocalFile | Redirect:
        """How a client receives the file. Raises ArtifactExpired."""

    def delete(self, key: str) -> None:
        """Remove a file, or the part of it that has arrived; an absent file is no error."""

    def remove_unreferenced(
        self, older_than_seconds: float, referenced: Callable[[list[str]], set[str]]
    ) -> int:
        """Remove files without a record; returns how many were removed.

        `referenced` returns those of some artifact ids that have a file by their record. Younger
        files are kept: their record may be about to be written.
        """

    def free_bytes(self) -> int | None:
        """Free bytes; None where no limit is known. Raises StorageUnavailable."""

    def check(self) -> None:
        """Raises StorageFull or StorageUnavailable, with the reason, when no file can be stored."""


def key_of(artifact_id: str, suffix: str) -> str:
    """The key of an artifact's file. Raises ValueError for parts that make no valid key."""
    # The last characters of an id spread the files over folders; the first encode the time.
    return checked_key(f"{artifact_id[-2:]}/{artifact_id}.{suffix}")


def checked_key(key: str) -> str:
    """The key. Raises ValueError for another text, such as a path that leads elsewhere."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def is_key(text: str) -> bool:
    """Whether the text has the form of a key."""
    return _KEY.fullmatch(text) is not None
