"""What a test needs of the machine: a right or a tool that a developer's machine may lack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.box.group import MOUNT, Box, small_box


def needs(condition: object, reason: str) -> None:
    """Skip the test where the condition does not hold; fail it in CI, which skips no test."""
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
    """Skip a test that only root can run."""
    needs(os.geteuid() == 0, "this needs root")


@contextmanager
def kernel_box(limit_bytes: int) -> Iterator[Box | None]:
    """A memory group of this size, which the kernel counts; None where no group can be made.

    A test that checks more goes on without the group, and says so. CI goes on without it only on a
    machine that has no version 1 of control groups, of which boxes are made. On a machine with
    version 1 a right is missing, and CI must have this right.
    """
    with small_box(limit_bytes) as box:
        if box is None and MOUNT.is_dir() and os.environ.get("CI"):
            pytest.fail(f"CI has to be able to make a group below {MOUNT}: this needs root")
        if box is None:
            print("no memory group can be made here: what the kernel counts is left out")
        yield box
