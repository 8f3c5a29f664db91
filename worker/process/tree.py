"""Processes as /proc shows them: which descends from which, and what memory they use.

Standard library only and quick to import: every guard pays for it. (That is also why there is
neither `pathlib` nor `contextlib` here.)
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGPIPE, SIGTERM, SIGXFSZ = 1, 2, 3, 9, 13, 15, 25
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = (
    1,
    36,
    37,
    38,
)

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
GONE = (FileNotFoundError, ProcessLookupError)  # the process ended while we looked


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process; the standard library has no call for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def is_subreaper() -> bool:
    """Whether descendants that lose their parent become children of this process."""
    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return answer.value == 1


def signalled(send: Callable[[int, int], None], pid: int, signal: int) -> bool:
    """Send by `os.kill` or `os.killpg`; False when the process or group has ended."""
    try:
        send(pid, signal)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def children(pid: int) -> list[int]:
    """The direct children of a process; none when it has ended."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            found += map(int, read(f"/proc/{pid}/task/{task}/children").split())
    except GONE:
        if not os.path.exists("/proc/thread-self/children"):  # noqa: PTH110
            return [it for it in processes() if parent(it) == pid]  # no CONFIG_PROC_CHILDREN
    return found


def descendants(root: int) -> Iterator[int]:
    """Every process below `root`, each before its children are looked up.

    So a caller that kills them one by one misses no child that is born meanwhile: a process that
    was sent SIGKILL forks no more.
    """
    found = children(root)
    for pid in found:  # grows while it is walked
        yield pid
        found += children(pid)


def kill(pid: int) -> None:
    """SIGKILL one process and, if it leads a group, a child that has not left the group yet."""
    signalled(os.kill, pid, SIGKILL)
    signalled(os.killpg, pid, SIGKILL)


def kill_new(listed: Iterable[int], sent: set[int]) -> bool:
    """SIGKILL the listed processes not yet in `sent`, and all below them; whether there were any.

    Call it with a fresh list until it returns False, and reap nothing meanwhile. Then no pid is
    used again, each round is short, and a process that forks all the time is caught: reaping takes
    so long on a busy machine that such a process had a new child each time.
    """
    new = [pid for pid in listed if pid not in sent]
    sent.update(new)
    for pid in reversed(new):  # the youngest are those that can still fork
        kill(pid)
    for pid in new:
        for below in descendants(pid):
            kill(below)
    return bool(new)


def processes() -> list[int]:
    """Every process that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def parent(pid: int) -> int | None:
    """The pid of the present parent; None when the process has ended."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def started_at(pid: int) -> int | None:
    """The clock tick at which the process began; None when it has ended."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def has_terminal(pid: int) -> bool:
    """Whether a person may sit in front of it."""
    fields = _stat(pid)
    return bool(fields) and fields[4] != "0"


def command(pid: int) -> list[str]:
    """The arguments of a process; none when it has ended (or is a thread of the kernel)."""
    return _strings(f"/proc/{pid}/cmdline")


def home(pid: int) -> str:
    """HOME in the environment of the process at its start, or nothing."""
    found = [it for it in _strings(f"/proc/{pid}/environ") if it.startswith("HOME=")]
    return found[0].removeprefix("HOME=") if found else ""


def _strings(path: str) -> list[str]:
    try:
        return read(path).split("\0")
    except (*GONE, PermissionError):
        return []


def _stat(pid: int) -> list[str]:
    """The fields of a process after its name (which may hold anything), from the state on."""
    try:
        return read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    except GONE:
        return []


def resident_bytes(pid: int) -> int:
    """RSS, anonymous and shared; 0 when it has ended."""
    try:
        return int(read(f"/proc/{pid}/statm").split()[1]) * PAGE_BYTES
    except GONE:
        return 0


def proportional_bytes(pid: int) -> int:
    """PSS: pages that several processes share count once in their sum. 100 times as dear as RSS."""
    try:
        rollup = read(f"/proc/{pid}/smaps_rollup")
        return int(rollup.split("\nPss:", 1)[1].split(None, 1)[0]) * 1024
    except (OSError, IndexError):  # ended, or its memory is closed to us
        return resident_bytes(pid)


def read(path: str) -> str:
    """The text of a small file of /proc; bytes that are no UTF-8 become surrogates."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        return file.read()
