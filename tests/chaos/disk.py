"""A disk of a world, which can be full, slow, read-only or hang for a while. Needs root.

A loop device with ext4, so that the kernel itself makes all faults. Each fault ends by itself.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

THROTTLE = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device")


class Disk:
    """A mounted file system on an image file."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._image = path.with_suffix(".img")
        self._size_bytes = size_bytes
        self._lock = threading.Lock()
        self._end_now: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(self._size_bytes)
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        device = _run("losetup", "--find", "--show", str(self._image))
        _run("blockdev", "--setrw", device)  # its last user may have left it read-only
        _run("mount", device, str(self.path))
        _run("losetup", "--detach", device)  # takes effect when it is unmounted
        number = self.path.stat().st_dev
        self._device = f"{os.major(number)}:{os.minor(number)}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()
        _run("umount", "--lazy", str(self.path))
        self._image.unlink()

    def heal(self) -> None:
        """End the present fault."""
        with self._lock:
            self._end()

    def fill(self, seconds: float) -> None:
        """Leave no free space."""
        ballast = self.path / "ballast"
        self._for_a_while(seconds, lambda: _take_all_room(ballast), ballast.unlink)

    def close(self, folder: Path, seconds: float) -> None:
        """Make a folder of the disk read-only."""
        name = str(folder)
        self._for_a_while(
            seconds,
            lambda: _run("mount", "--bind", "-o", "ro", name, name),
            lambda: _run("umount", "--lazy", name),
        )

    def slow(self, bytes_per_second: int, seconds: float) -> None:
        """Limit the speed of writes."""
        self._for_a_while(
            seconds,
            lambda: self._throttle(bytes_per_second),
            lambda: self._throttle(0),  # no limit
        )

    def hang(self, seconds: float) -> None:
        """Make every write wait."""
        name = str(self.path)
        self._for_a_while(
            seconds,
            lambda: _run("fsfreeze", "--freeze", name),
            lambda: _run("fsfreeze", "--unfreeze", name),
        )

    def _for_a_while(
        self, seconds: float, begin: Callable[[], object], end: Callable[[], object]
    ) -> None:
        """Begin a fault; the fault before ends, since a disk that hangs cannot be filled."""
        with self._lock:
            self._end()
            begin()
            self._fault = threading.Timer(seconds, self._end_of, [end])
            self._end_now = end
            self._fault.start()

    def _end_of(self, end: Callable[[], object]) -> None:
        with self._lock:
            if self._end_now is end:
                self._end()

    def _end(self) -> None:
        if self._end_now is not None:
            self._fault.cancel()
            end, self._end_now = self._end_now, None
            end()

    def _throttle(self, bytes_per_second: int) -> None:
        THROTTLE.write_text(f"{self._device} {bytes_per_second}")


def may_mount() -> bool:
    """Whether this process may mount disks."""
    return os.geteuid() == 0 and Path("/dev/loop-control").exists()


def may_throttle() -> bool:
    """Whether the kernel can make a disk slow: version 1 of its control groups can."""
    return THROTTLE.exists()


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _take_all_room(ballast: Path) -> None:
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    size, step = 0, 2**24
    while step >= 512:
        try:
            os.posix_fallocate(descriptor, size, step)
            size += step
        except OSError:
            step //= 2
    os.close(descriptor)
