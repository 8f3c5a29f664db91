"""A small disk of a test's own, that runs full or turns read-only at will. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Volume:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set_read_only(self, read_only: bool) -> None:
        options = f"remount,{'ro' if read_only else 'rw'}"
        subprocess.run(["mount", "-o", options, str(self.path)], check=True)

    def fill(self) -> Path:
        """Leave no room at all; the file that takes it."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                return ballast


@contextmanager
def small_volume(path: Path, size: str) -> Iterator[Volume]:
    """A volume of that size at `path`; skips the test where nobody may mount one."""
    path.mkdir(parents=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "clipmill-test", str(path)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        yield Volume(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
