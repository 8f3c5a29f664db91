"""Where finished files are kept: one row for each scheme of STORAGE_URL.

A further storage needs a file beside `folder`, with a class that keeps the promises of
`protocol.Storage`, a row here, and its scheme in `config.values.STORAGE_SCHEMES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tasks.storage.folder import FolderStorage
from tasks.storage.protocol import LocalFile, Presentation, Redirect, Storage, StoredFile

__all__ = ["LocalFile", "Presentation", "Redirect", "Storage", "StoredFile", "open_storage"]

STORAGES: Mapping[str, Callable[[str], Storage]] = {
    "file": FolderStorage.at,
}


def open_storage(url: str) -> Storage:
    """The storage at a STORAGE_URL, whose scheme the settings have checked."""
    return STORAGES[urlsplit(url).scheme](url)
