"""The small program between the worker and one tool: when it ends, nothing of the tool is left.

Standard library only, started by `command_line` in an isolated interpreter.
stdin            the life line: `T` end softly, `K` end at once; end of file means the worker died
stdout, stderr   belong to the tool
descriptor `report`   one JSON line {why, returncode, peak_bytes, cpu_seconds}, after the last
                      descendant was reaped; a guard that ends without it did not do its work

Modules are chosen for the time their import takes: `signal`, `json` and `dataclasses` would
double the cost of every process that a job starts.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import sys
import time

from worker.process import disk_usage, tree
from worker.process.cgroups import Group

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence

TICK_SECONDS = 0.2
MAX_PROCESSES = 64  # of one job: yt-dlp with its helpers has six
MAX_OPEN_FILES = 1024
EXPENDABLE = "500"  # the kernel's memory killer shall take the tool, not the worker or the guard
CANNOT_START = 127  # what a shell answers
CPU_GRACE_SECONDS = 2  # from SIGXCPU, which a tool may take for a friendly word, to SIGKILL
SIG_DFL, SIG_IGN = 0, 1

# The folder that `worker` is in: three levels above this file.
ROOT = os.path.abspath(os.path.join(__file__, "..", "..", ".."))  # noqa: PTH100, PTH118
START = (
    f"import sys; sys.path.append({ROOT!r}); from worker.process.guard import main; main(sys.argv)"
)
HANDED_DOWN = (tree.SIGHUP, tree.SIGINT, tree.SIGQUIT, tree.SIGTERM)


def command_line(options: Sequence[str], argv: Sequence[str]) -> list[str]:
    """How to start a guard: as a module, so that its compiled form is used (2 ms of 14)."""
    return [sys.executable, "-I", "-S", "-c", START, *options, "--", *argv]


class Spec:
    """What the worker asked for; 0 means no limit."""

    def __init__(self, arguments: Sequence[str]) -> None:
        split = arguments.index("--")
        given = dict(option.split("=", 1) for option in arguments[:split])
        self.argv = list(arguments[split + 1 :])
        self.parent = int(given["parent"])
        self.report = int(given["report"])
        self.deadline_seconds = float(given["deadline_seconds"])
        self.grace_seconds = float(given["grace_seconds"])
        self.memory_bytes = int(given.get("memory_bytes", 0))
        self.data_bytes = int(given.get("data_bytes", 0))
        self.file_bytes = int(given.get("file_bytes", 0))
        self.folder_bytes = int(given.get("folder_bytes", 0))
        self.cpu_seconds = int(given.get("cpu_seconds", 0))
        self.group = given.get("group", "")


class Watch:
    """One running tool with all its descendants: what they use and why they have to go."""

    def __init__(self, spec: Spec, parent_fd: int, tool: int) -> None:
        self.peak_bytes = 0
        self.status = 0
        self._spec = spec
        self._tool = tool
        self._disk_due = 0.0
        self._deadline = time.monotonic() + spec.deadline_seconds
        self._parent_fd = parent_fd
        self._tool_fd = os.pidfd_open(tool)
        self._poll = select.poll()
        for fd in (0, self._tool_fd, parent_fd):
            self._poll.register(fd, select.POLLIN)

    def until_end(self) -> str:
        """Wait for the tool's end or for a reason to end it; TERM and grace where there is time."""
        why = self._until(self._deadline) or "deadline"
        if why in ("stopped", "deadline"):
            self._terminate()
            self._until(time.monotonic() + self._spec.grace_seconds)
        return why

    def _terminate(self) -> None:
        """TERM to the tool's group, or to the tool when it has not made its group yet."""
        if not tree.signalled(os.killpg, self._tool, tree.SIGTERM):
            tree.signalled(os.kill, self._tool, tree.SIGTERM)

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
        """The limit that is passed now, if one is; notes the peak on the way."""
        self.reap()
        pids: list[int] = []
        for pid in tree.descendants(os.getpid()):
            pids.append(pid)
            if len(pids) > MAX_PROCESSES:
                return "processes"  # at once: they may be doubling
        used = self._used_bytes(pids)
        self.peak_bytes = max(self.peak_bytes, used)
        if self._spec.memory_bytes and used > self._spec.memory_bytes:
            return "memory"
        return "disk" if self._disk_is_full(pids) else None

    def _used_bytes(self, pids: Sequence[int]) -> int:
        """RSS, which is cheap to read, as long as it cannot hide a PSS above the limit."""
        used = sum(map(tree.resident_bytes, pids))
        if self._spec.memory_bytes and used > self._spec.memory_bytes:
            return sum(map(tree.proportional_bytes, pids))
        return used

    def _disk_is_full(self, pids: Sequence[int]) -> bool:
        started = time.monotonic()
        if not self._spec.folder_bytes or started < self._disk_due:
            return False
        left = self._spec.folder_bytes - disk_usage.unlinked_bytes(pids)
        full = disk_usage.exceeds(".", left)
        took = time.monotonic() - started
        self._disk_due = started + 20 * took  # at most a twentieth of the time goes there
        return full

    def reap(self) -> bool:
        """Reap whatever has ended; whether any descendant is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._tool:
                    self.status = status
        except ChildProcessError:
            return False

    def kill_all(self) -> None:
        """SIGKILL every descendant again and again until the kernel knows of none.

        What double-forked is a descendant as well: this process is a subreaper.
        """
        while True:
            sent: set[int] = set()
            while tree.kill_new(tree.children(os.getpid()), sent):
                pass
            if not self.reap():
                return
            time.sleep(0.001)


def start(spec: Spec, group: Group) -> int:
    """Fork the tool; its pid."""
    guard = os.getpid()
    tool = os.fork()
    if tool:
        return tool
    try:
        become_tool(spec, guard, group)
    except BaseException as error:  # whatever it is, the guard's code must not go on in the child
        os.write(2, f"cannot start {spec.argv[0]!r}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(CANNOT_START)


def become_tool(spec: Spec, guard: int, group: Group) -> None:
    """All that is done in the forked child, in order, before the tool takes its place."""
    set_signals()
    os.setsid()
    tree.prctl(tree.PR_SET_PDEATHSIG, tree.SIGKILL)
    if os.getppid() != guard:  # it died before the line above
        os._exit(CANNOT_START)
    tree.prctl(tree.PR_SET_NO_NEW_PRIVS, 1)  # a setuid program could not be killed
    make_expendable()
    group.enter()
    set_limits(spec)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the life line is the guard's alone
    os.execvp(spec.argv[0], spec.argv)  # noqa: S606  # no shell is wanted


def make_expendable() -> None:
    """Best effort: a container may forbid it, and then the kernel goes by size alone."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
            score.write(EXPENDABLE)
    except OSError:
        pass


def set_limits(spec: Spec) -> None:
    """Limits of the tool and of each process below it; set here, so that none is forked without."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    if spec.data_bytes:
        lower(resource.RLIMIT_DATA, spec.data_bytes)
    if spec.file_bytes:
        lower(resource.RLIMIT_FSIZE, spec.file_bytes)
    if spec.cpu_seconds:
        lower(resource.RLIMIT_CPU, spec.cpu_seconds, more=CPU_GRACE_SECONDS)


def lower(limit: int, value: int, more: int = 0) -> None:
    """Set the soft limit, and the hard one so much above; never above what is allowed now."""
    allowed = resource.getrlimit(limit)[1]
    hard = value + more if allowed == resource.RLIM_INFINITY else min(value + more, allowed)
    resource.setrlimit(limit, (min(value, hard), hard))


def set_signals() -> None:
    """Defaults, since exec hands on what is ignored (by the guard, the worker, Python or nohup).

    SIGXFSZ stays ignored on purpose: a file that is too large gives a clean error text then.
    """
    libc = ctypes.CDLL(None)
    for signal in (*HANDED_DOWN, tree.SIGPIPE):
        libc.signal(signal, SIG_DFL)
    libc.signal(tree.SIGXFSZ, SIG_IGN)


def ignore_signals() -> None:
    """A service manager that ends a whole group must not end the guard before its tool."""
    libc = ctypes.CDLL(None)
    for signal in HANDED_DOWN:
        libc.signal(signal, SIG_IGN)


def report(spec: Spec, watch: Watch, group: Group, why: str) -> None:
    """The one JSON line; its values need no quoting."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_bytes = max(watch.peak_bytes, usage.ru_maxrss * 1024)  # between two ticks, of the largest
    cpu_seconds = usage.ru_utime + usage.ru_stime
    returncode = os.waitstatus_to_exitcode(watch.status)
    if why == "exited" and returncode != 0:
        if group.killed():  # the kernel was quicker than a look: it had come to the limit
            peak_bytes = max(peak_bytes, spec.memory_bytes + 1)
        why = unseen(spec, cpu_seconds, peak_bytes) or why
    line = (
        f'{{"why": "{why}", "returncode": {returncode}, '
        f'"peak_bytes": {peak_bytes}, "cpu_seconds": {cpu_seconds:.3f}}}\n'
    )
    try:  # noqa: SIM105  # `contextlib` costs its import
        os.write(spec.report, line.encode())
    except BrokenPipeError:  # the worker died: nobody is left to be told
        pass


def unseen(spec: Spec, cpu_seconds: float, peak_bytes: int) -> str | None:
    """The limit that a failed tool met between two looks, whatever it says itself."""
    if spec.cpu_seconds and cpu_seconds >= spec.cpu_seconds:
        return "deadline"
    return "memory" if spec.memory_bytes and peak_bytes > spec.memory_bytes else None


def main(arguments: Sequence[str]) -> None:
    """Start the tool, watch it, end all of it, report."""
    spec = Spec(arguments[1:])
    os.set_inheritable(spec.report, False)
    parent_fd = os.pidfd_open(spec.parent)
    if os.getppid() != spec.parent:  # it died before the line above
        return
    tree.prctl(tree.PR_SET_CHILD_SUBREAPER, 1)
    ignore_signals()
    group = Group(spec.group, spec.memory_bytes)
    tool = start(spec, group)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the end of stdout is the tool's alone
    watch = Watch(spec, parent_fd, tool)
    try:
        why = watch.until_end()
    finally:  # also when the guard itself fails
        watch.kill_all()
    report(spec, watch, group, why)
    group.remove()
    os._exit(0)  # there is nothing to clean up, and the interpreter takes 3 ms for it
