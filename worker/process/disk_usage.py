"""The disk space that a job uses: its folder, and deleted files that are still open.

Standard library only and quick to import: every guard pays for it.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_ENTRIES = 100_000  # an empty file takes no bytes, but an inode
GONE = (FileNotFoundError, NotADirectoryError, ProcessLookupError)  # while we looked


def exceeds(folder: str, limit_bytes: int) -> bool:
    """Whether the files below take more than the limit.

    Also true where they cannot be measured: too many entries, too long paths, unreadable folders.
    """
    used = 0
    try:
        for entries, size in enumerate(_sizes(folder), start=1):
            used += size
            if used > limit_bytes or entries > MAX_ENTRIES:
                return True
    except OSError:
        return True
    return used > limit_bytes


def _sizes(top: str) -> Iterator[int]:
    """The bytes of each entry below: its allocated size, but no more than its length.

    Some file systems allocate far ahead of a growing file, and a sparse file takes little.
    """
    folders = [top]
    for folder in folders:  # grows while it is walked
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(entry.path)
                    yield min(found.st_size, found.st_blocks * 512)
        except GONE:
            continue


def unlinked_bytes(pids: Iterable[int]) -> int:
    """The bytes of deleted files that these processes hold open, memory files (memfd) included."""
    blocks: dict[tuple[int, int], int] = {}
    for pid in pids:
        for found in _open_files(pid):
            if found.st_nlink == 0:
                blocks[found.st_dev, found.st_ino] = found.st_blocks
    return sum(blocks.values()) * 512


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208  # `pathlib` costs its import
    except (*GONE, PermissionError):
        return
    for descriptor in descriptors:
        try:
            yield os.stat(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH116  # as above
        except OSError:  # closed by now
            continue
