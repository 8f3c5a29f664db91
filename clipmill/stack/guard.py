"""The guard of the stack: a small program that ends the stack's processes if its owner is killed.

Started as `python -I -S guard.py`, standard library only. Its stdin is the life line: `+ID` and
`-ID` add and remove a process group, `=FOLDER` adds a folder to remove, `.` says that the owner
stops in order and removes its folders itself. At the end of stdin every group that is still listed
gets SIGTERM, a short grace and SIGKILL; then the folders are removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

GRACE_SECONDS = 2.0


def guard() -> None:
    """Read the life line to its end, then clean up."""
    groups: set[int] = set()
    folders: list[str] = []
    for line in sys.stdin:
        word = line.rstrip("\n")
        if word.startswith("+"):
            groups.add(int(word[1:]))
        elif word.startswith("-"):
            groups.discard(int(word[1:]))
        elif word.startswith("="):
            folders.append(word[1:])
        elif word == ".":
            folders.clear()
    end(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end(groups: set[int]) -> None:
    """SIGTERM, then after the grace SIGKILL."""
    left = {group for group in groups if send(group, signal.SIGTERM)}
    give_up_at = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < give_up_at:
        time.sleep(0.05)
        left = {group for group in left if send(group, 0)}
    for group in left:
        send(group, signal.SIGKILL)


def send(group: int, number: int) -> bool:
    """Whether the group still has a process that can receive the signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    # A user who stops the stack signals its owner. The guard ends when its owner has ended.
    for polite in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(polite, signal.SIG_IGN)
    guard()
