"""The small process between the worker and one tool: when it ends, nothing of the tool is left.

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
import sys

from worker.process import sandbox, tree
from worker.process.cgroups import Group
from worker.process.guard_options import GuardOptions
from worker.process.tool_tree import ToolTree

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence

# The folder that `worker` is in: three levels above this file.
ROOT = os.path.abspath(os.path.join(__file__, "..", "..", ".."))  # noqa: PTH100, PTH118
START = (
    f"import sys; sys.path.append({ROOT!r}); from worker.process.guard import main; main(sys.argv)"
)


def command_line(options: Sequence[str], argv: Sequence[str]) -> list[str]:
    """How to start a guard: as a module, so that its compiled form is used (2 ms of 14)."""
    return [sys.executable, "-I", "-S", "-c", START, *options, "--", *argv]


def start(options: GuardOptions, group: Group) -> int:
    """Fork the tool; its pid."""
    guard = os.getpid()
    tool = os.fork()
    if tool:
        return tool
    try:
        sandbox.become_tool(options, guard, group)
    except BaseException as error:  # after any error the guard's code must not go on in the child
        os.write(2, f"cannot start {options.argv[0]!r}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(sandbox.CANNOT_START)


def ignore_signals() -> None:
    """A service manager that ends a whole group must not end the guard before its tool."""
    libc = ctypes.CDLL(None)
    for signal in sandbox.HANDED_DOWN:
        libc.signal(signal, sandbox.SIG_IGN)


def report(options: GuardOptions, tools: ToolTree, group: Group, why: str) -> None:
    """The one JSON line; its values need no quoting."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_bytes = max(tools.peak_bytes, usage.ru_maxrss * 1024)  # between two ticks, of the largest
    cpu_seconds = usage.ru_utime + usage.ru_stime
    returncode = os.waitstatus_to_exitcode(tools.status)
    if why == "exited" and returncode != 0:
        if group.killed():  # the kernel was quicker than the guard: the tool reached the limit
            peak_bytes = max(peak_bytes, options.memory_bytes + 1)
        why = unseen(options, cpu_seconds, peak_bytes) or why
    line = (
        f'{{"why": "{why}", "returncode": {returncode}, '
        f'"peak_bytes": {peak_bytes}, "cpu_seconds": {cpu_seconds:.3f}}}\n'
    )
    try:  # noqa: SIM105  # `contextlib` costs its import
        os.write(options.report, line.encode())
    except BrokenPipeError:  # the worker died: no process is left that reads the report
        pass


def unseen(options: GuardOptions, cpu_seconds: float, peak_bytes: int) -> str | None:
    """The limit that a failed tool reached between two checks, whatever its own error says."""
    if options.cpu_seconds and cpu_seconds >= options.cpu_seconds:
        return "deadline"
    return "memory" if options.memory_bytes and peak_bytes > options.memory_bytes else None


def main(arguments: Sequence[str]) -> None:
    """Start the tool, watch it, end all of it, report."""
    options = GuardOptions(arguments[1:])
    os.set_inheritable(options.report, False)
    parent_fd = os.pidfd_open(options.parent)
    if os.getppid() != options.parent:  # the worker died before the line above
        return
    tree.prctl(tree.PR_SET_CHILD_SUBREAPER, 1)
    ignore_signals()
    group = Group(options.group, options.memory_bytes)
    tool = start(options, group)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the end of stdout is the tool's alone
    tools = ToolTree(options, parent_fd, tool)
    try:
        why = tools.until_end()
    finally:  # also when the guard itself fails
        tools.kill_all()
    report(options, tools, group, why)
    group.remove()
    os._exit(0)  # nothing is left to clean up, for which the interpreter would take 3 ms
