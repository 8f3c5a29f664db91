"""A small disk of a test, which can run full or turn read-only. Mounting needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.needs import needed_tool, needs

# A bad disk keeps its first half, where the file system's own tables and folders are.
BAD_DISK_BYTES = 32 * 1024**2
KEPT_BYTES = BAD_DISK_BYTES // 2


class Volume:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set_read_only(self, read_only: bool) -> None:
        options = f"remount,{'ro' if read_only else 'rw'}"
        subprocess.run(["mount", "-o", options, str(self.path)], check=True)

    def fill(self, leave_bytes: int = 0) -> Path:
        """Leave no more free space than this; the file that takes the rest."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                file.truncate(max(0, file.tell() - leave_bytes))
        return ballast


class BadDisk:
    """A mounted file system on an image file, which can lose the content of files."""

    def __init__(self, path: Path, image: Path) -> None:
        self.path = path
        self._image = image

    def lose(self, file: Path) -> None:
        """From now on a file that fills more than half of this disk cannot be read."""
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.truncate(self._image, KEPT_BYTES)
        os.close(descriptor)


@contextmanager
def small_volume(path: Path, size: str, inodes: int = 10_000) -> Iterator[Volume]:
    """A volume of this size at `path`; skips the test where none can be mounted."""
    options = f"size={size},nr_inodes={inodes}"
    with _mounted(path, "-t", "tmpfs", "-o", options, "clipmill-test"):
        yield Volume(path)


@contextmanager
def bad_disk(path: Path) -> Iterator[BadDisk]:
    """A disk at `path`, on an image beside it."""
    image = path.with_suffix(".img")
    path.parent.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(BAD_DISK_BYTES)
    # Blocks of this size make it one group, so that folders are at its beginning.
    mkfs = needed_tool("mkfs.ext4", "e2fsprogs")
    plain = ["-b", "4096", "-O", "^has_journal", "-E", "lazy_itable_init=1"]
    subprocess.run([mkfs, "-q", *plain, str(image)], check=True)
    with _mounted(path, "-o", "loop", str(image)):
        yield BadDisk(path, image)


@contextmanager
def _mounted(path: Path, *what: str) -> Iterator[None]:
    path.mkdir(parents=True)
    argv = ["mount", *what, str(path)]
    # In a container root too may lack the right, or a loop device.
    done = subprocess.run(argv, capture_output=True, check=False, text=True)
    why = done.stderr.partition("\n")[0]
    needs(done.returncode == 0, f"nothing can be mounted here: {why}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
