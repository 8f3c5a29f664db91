"""What remains when the stack's owner is killed: a small program that ends what was left.

Started as `python -I -S keeper.py`, standard library only. Its stdin is the life line:
`+ID` and `-ID` enter and strike out a process group, `=FOLDER` a folder to remove, `.` says that
the owner goes in order and removes its folders itself. At the end of the file whatever is still
entered gets SIGTERM, a short grace and SIGKILL; then the folders go.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

GRACE_SECONDS = 2.0


def keep() -> None:
    """Read the life line to its end, then clear up."""
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
    """Softly, then surely."""
    left = {group for group in groups if send(group, signal.SIGTERM)}
    give_up_at = time.monotonic() + GRACE_SECONDS
    while left and time.monotonic() < give_up_at:
        time.sleep(0.05)
        left = {group for group in left if send(group, 0)}
    for group in left:
        send(group, signal.SIGKILL)


def send(group: int, number: int) -> bool:
    """Whether there is still somebody in the group to receive it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    # Those who stop the stack mean its owner, and the owner's end is what ends this.
    for polite in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(polite, signal.SIG_IGN)
    keep()
