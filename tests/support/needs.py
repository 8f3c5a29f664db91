"""What a test needs of the machine: a right or a tool that not everybody has at home."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.box.group import MOUNT, Box, small_box


def needs(condition: object, reason: str) -> None:
    """Skip the test where the condition does not hold; fail it in CI, where nothing is left out."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have what this test needs: {reason}")
    pytest.skip(reason)


def needed_tool(name: str, package: str) -> str:
    """The path of a program of that Debian package."""
    found = shutil.which(name)
    needs(found, f"{name} is missing: apt-get install {package}")
    return str(found)


def needs_root() -> None:
    """For what only root may do."""
    needs(os.geteuid() == 0, "this needs root")


@contextmanager
def kernel_box(limit_bytes: int) -> Iterator[Box | None]:
    """A memory group of this size, which the kernel counts; None where nobody can make one.

    A test that has more to look at goes on without it, and says so. CI goes on only on a machine
    with version 2 of control groups alone, since boxes are made of version 1. Where that is, it
    is a right that is missing, and CI has to have it.
    """
    with small_box(limit_bytes) as box:
        if box is None and MOUNT.is_dir() and os.environ.get("CI"):
            pytest.fail(f"CI has to be able to make a group below {MOUNT}: this needs root")
        if box is None:
            print("no memory group can be made here: what the kernel counts is left out")
        yield box
