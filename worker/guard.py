"""The small program between the worker and one tool: when it ends, nothing of the tool is left.

Started as `python -I -S guard.py name=value ... -- tool arguments...`; standard library only.
stdin            the life line: `T` end softly, `K` end at once; end of file means the worker died
stdout, stderr   belong to the tool
descriptor `report`   one JSON line {why, returncode, peak_bytes, cpu_seconds}, after the last
                      descendant was reaped; a guard that ends without it did not do its work

Modules are chosen for their start-up time: `signal`, `json` and `dataclasses` would double the
cost of every process that a job starts.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIGKILL, SIGPIPE, SIGTERM = 9, 13, 15
SIGXFSZ = 25
SIG_DFL, SIG_IGN = 0, 1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38

TICK_SECONDS = 0.2
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NEAR_LIMIT = 0.8  # PSS costs 100 times what RSS costs, so it is read only above this share
MAX_PROCESSES = 64
MAX_ENTRIES = 100_000  # of the folder: an empty file takes no bytes, but an inode
MAX_OPEN_FILES = 1024
CANNOT_START = 127  # what a shell answers


class Spec:
    """What the worker asked for; 0 means no limit."""

    def __init__(self, options: Sequence[str], argv: Sequence[str]) -> None:
        given = dict(option.split("=", 1) for option in options)
        self.parent = int(given["parent"])
        self.report = int(given["report"])
        self.deadline_seconds = float(given["deadline_seconds"])
        self.grace_seconds = float(given["grace_seconds"])
        self.memory_bytes = int(given.get("memory_bytes", 0))
        self.data_bytes = int(given.get("data_bytes", 0))
        self.file_bytes = int(given.get("file_bytes", 0))
        self.folder_bytes = int(given.get("folder_bytes", 0))
        self.argv = list(argv)


class Watch:
    """One running tool with all its descendants: what they use and why they have to go."""

    def __init__(self, spec: Spec, tool: int) -> None:
        self.spec = spec
        self.tool = tool
        self.status: int | None = None
        self.peak_bytes = 0
        self._folder_due = 0.0
        self._deadline = time.monotonic() + spec.deadline_seconds
        self._tool_fd = os.pidfd_open(tool)
        self._parent_fd = os.pidfd_open(spec.parent)
        self._poll = select.poll()
        for fd in (0, self._tool_fd, self._parent_fd):
            self._poll.register(fd, select.POLLIN)

    def until_end(self) -> str:
        """Wait for the tool's end or for a reason to end it; TERM and grace where there is time."""
        if os.getppid() != self.spec.parent:  # it died before its pidfd was opened
            return "orphaned"
        why = self._until(self._deadline) or "deadline"
        if why in ("stopped", "deadline"):
            quietly(os.killpg, self.tool, SIGTERM)
            self._until(time.monotonic() + self.spec.grace_seconds)
        return why

    def _until(self, end: float) -> str | None:
        while (left := end - time.monotonic()) > 0:
            events = self._poll.poll(min(left, TICK_SECONDS) * 1000)
            if why := self._event({fd for fd, _ in events}) or self._excess():
                return why
        return None

    def _event(self, ready: set[int]) -> str | None:
        if self._tool_fd in ready:
            return "exited"
        if self._parent_fd in ready:
            return "orphaned"
        if 0 in ready:
            return {b"T": "stopped", b"K": "killed"}.get(os.read(0, 1), "orphaned")
        return None

    def _excess(self) -> str | None:
        """The limit that is passed now, if one is; also notes the peak."""
        self.reap()
        pids = descendants(os.getpid())
        self.peak_bytes = max(self.peak_bytes, used := self._used_bytes(pids))
        if len(pids) > MAX_PROCESSES:
            return "processes"
        if self.spec.memory_bytes and used > self.spec.memory_bytes:
            return "memory"
        return "disk" if self._folder_is_full() else None

    def _used_bytes(self, pids: Sequence[int]) -> int:
        used = sum(map(resident_bytes, pids))
        if self.spec.memory_bytes and used > self.spec.memory_bytes * NEAR_LIMIT:
            return sum(map(proportional_bytes, pids))
        return used

    def _folder_is_full(self) -> bool:
        started = time.monotonic()
        if not self.spec.folder_bytes or started < self._folder_due:
            return False
        full = folder_exceeds(".", self.spec.folder_bytes)
        took = time.monotonic() - started
        self._folder_due = started + 20 * took  # at most a twentieth of the time goes there
        return full

    def reap(self) -> bool:
        """Reap whatever has ended; whether any descendant is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self.tool:
                    self.status = status
        except ChildProcessError:
            return False

    def kill_all(self) -> None:
        """SIGKILL every descendant again and again until the kernel knows of none.

        What double-forked is a descendant as well: this process is a subreaper.
        """
        while self.reap():
            for pid in descendants(os.getpid()):
                quietly(os.kill, pid, SIGKILL)
            time.sleep(0.001)


def quietly(send: object, pid: int, signal: int) -> None:
    """Send a signal to what may have ended in the meantime."""
    try:  # noqa: SIM105  # contextlib costs its import
        send(pid, signal)  # type: ignore[operator]  # os.kill or os.killpg; Callable costs an import
    except (ProcessLookupError, PermissionError):
        pass


def prctl(option: int, value: int) -> None:
    """One process attribute; the standard library has no call for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def children(pid: int) -> list[int]:
    """The direct children of a process; none when it has ended."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # as above
            found += map(int, read(f"/proc/{pid}/task/{task}/children").split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(root: int) -> list[int]:
    """Every process below `root`."""
    found = children(root)
    for pid in found:  # grows while it is walked
        found += children(pid)
    return found


def read(path: str) -> str:
    """A small file of /proc."""
    with open(path) as file:  # noqa: PTH123  # pathlib costs its import
        return file.read()


def resident_bytes(pid: int) -> int:
    """RSS, anonymous and shared; 0 when the process has ended."""
    try:
        return int(read(f"/proc/{pid}/statm").split()[1]) * PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def proportional_bytes(pid: int) -> int:
    """PSS: pages that several processes share count once in their sum."""
    try:
        rollup = read(f"/proc/{pid}/smaps_rollup")
        return int(rollup.split("\nPss:", 1)[1].split(None, 1)[0]) * 1024
    except (OSError, IndexError):  # ended, or its memory is closed to us
        return resident_bytes(pid)


def folder_exceeds(folder: str, limit_bytes: int) -> bool:
    """Whether the files below take more than that; also true of a flood of entries."""
    used = 0
    for entries, size in enumerate(sizes(folder), start=1):
        used += size
        if used > limit_bytes or entries > MAX_ENTRIES:
            return True
    return False


def sizes(folder: str) -> Iterator[int]:
    """The bytes of each entry below: what is allocated, but no more than its length.

    Some file systems allocate far ahead of a growing file, and a sparse file takes little.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                yield min(found.st_size, found.st_blocks * 512)
                if stat.S_ISDIR(found.st_mode):
                    yield from sizes(entry.path)
    except OSError:  # it went away while we looked
        return


def start(spec: Spec) -> int:
    """Fork the tool; its pid."""
    guard = os.getpid()
    tool = os.fork()
    if tool:
        return tool
    try:
        become_tool(spec, guard)
    except BaseException as error:  # nothing may run the guard's code in the child
        os.write(2, f"cannot start {spec.argv[0]!r}: {error}\n".encode())
    finally:
        os._exit(CANNOT_START)


def become_tool(spec: Spec, guard: int) -> None:
    """All that is done in the forked child, in order, before the tool takes its place."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != guard:  # it died before the line above
        os._exit(CANNOT_START)
    prctl(PR_SET_NO_NEW_PRIVS, 1)  # a setuid program could not be killed
    set_limits(spec)
    libc = ctypes.CDLL(None)
    libc.signal(SIGPIPE, SIG_DFL)  # Python ignores both, and exec hands that on
    libc.signal(SIGXFSZ, SIG_IGN)  # on purpose: EFBIG gives a clean error text, the signal none
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execvp(spec.argv[0], spec.argv)  # noqa: S606  # no shell is wanted


def set_limits(spec: Spec) -> None:
    """Limits of the tool and of each process below it; set here, so that none is forked without."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    if spec.data_bytes:
        lower(resource.RLIMIT_DATA, spec.data_bytes)
    if spec.file_bytes:
        lower(resource.RLIMIT_FSIZE, spec.file_bytes)


def lower(limit: int, value: int) -> None:
    """Set the soft and the hard limit, never above what is allowed now."""
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def report(spec: Spec, watch: Watch, why: str) -> None:
    """The one JSON line; its values need no quoting."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_bytes = max(watch.peak_bytes, usage.ru_maxrss * 1024)
    code = os.waitstatus_to_exitcode(watch.status or 0)
    line = (
        f'{{"why": "{why}", "returncode": {code}, "peak_bytes": {peak_bytes}, '
        f'"cpu_seconds": {usage.ru_utime + usage.ru_stime:.3f}}}\n'
    )
    try:  # noqa: SIM105  # contextlib costs its import
        os.write(spec.report, line.encode())
    except BrokenPipeError:  # the worker died: nobody is left to be told
        pass


def main(arguments: Sequence[str]) -> None:
    """Start the tool, watch it, end all of it, report."""
    split = arguments.index("--")
    spec = Spec(arguments[:split], arguments[split + 1 :])
    os.set_inheritable(spec.report, False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    tool = start(spec)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # end of file of stdout is the tool's alone
    watch = Watch(spec, tool)
    why = watch.until_end()
    watch.kill_all()
    report(spec, watch, why)
    os._exit(0)  # there is nothing to clean up, and the interpreter takes 3 ms for it


if __name__ == "__main__":
    main(sys.argv[1:])
