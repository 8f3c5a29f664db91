"""What the forked child of a guard does to itself before it becomes the tool.

Enforced now, for each profile: default signals, a session of its own, death with the guard, no new
privileges, the usual priority, the memory group, limits of the kernel, no stdin. The profiles
differ in their limit of private memory alone. That a `media` tool needs no network and only the
files of its folder is declared, and not enforced yet; it would be set up here.

Modules are chosen for the time their import takes (see guard).
"""

from __future__ import annotations

import ctypes
import os
import resource

from worker.process import tree

TYPE_CHECKING = False  # `typing` costs as much as all the rest
if TYPE_CHECKING:
    from worker.process.cgroups import Group
    from worker.process.guard_options import GuardOptions

MAX_OPEN_FILES = 1024
EXPENDABLE = "500"  # the kernel's memory killer must choose the tool, not the worker or the guard
CANNOT_START = 127  # what a shell answers
CPU_GRACE_SECONDS = 2  # from SIGXCPU, which a tool may handle or ignore, to SIGKILL
SIG_DFL, SIG_IGN = 0, 1
PR_CAPBSET_DROP, CAP_SYS_NICE = 24, 23
HANDED_DOWN = (tree.SIGHUP, tree.SIGINT, tree.SIGQUIT, tree.SIGTERM)
# Private memory beyond that of any tool, by profile: yt-dlp's JavaScript runtime allocates more
# than 512 MiB, most of which it never touches, and runs with 1 GiB.
MORE_DATA_BYTES = {"media": 0, "fetch": 1024**3}


def become_tool(options: GuardOptions, guard: int, group: Group) -> None:
    """All that the forked child does, in order, before it becomes the tool."""
    set_signals()
    os.setsid()
    tree.prctl(tree.PR_SET_PDEATHSIG, tree.SIGKILL)
    if os.getppid() != guard:  # the guard died before the line above
        os._exit(CANNOT_START)
    tree.prctl(tree.PR_SET_NO_NEW_PRIVS, 1)  # a setuid program could not be killed
    keep_usual_priority()
    make_expendable()
    group.enter()
    set_limits(options)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the life line is the guard's alone
    os.execvp(options.argv[0], options.argv)  # noqa: S606  # no shell is wanted


def keep_usual_priority() -> None:
    """Let no tool make itself a real-time process.

    Under root the AV1 encoder does so (SCHED_FIFO 99), and two of them then starve the guard, the
    worker and everything else on the machine.
    """
    lower(resource.RLIMIT_RTPRIO, 0)
    try:  # noqa: SIM105  # `contextlib` costs its import
        tree.prctl(PR_CAPBSET_DROP, CAP_SYS_NICE)
    except OSError:  # an ordinary user may not drop what it does not have
        pass


def make_expendable() -> None:
    """Best effort: a container may forbid it, and then the kernel chooses by size alone."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
            score.write(EXPENDABLE)
    except OSError:
        pass


def set_limits(options: GuardOptions) -> None:
    """Limits of the tool and its descendants; set here, so that no process is forked without."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    more_bytes = MORE_DATA_BYTES[options.profile]
    if options.data_bytes:
        lower(resource.RLIMIT_DATA, options.data_bytes + more_bytes)
    if options.file_bytes:
        lower(resource.RLIMIT_FSIZE, options.file_bytes)
    if options.cpu_seconds:
        lower(resource.RLIMIT_CPU, options.cpu_seconds, more=CPU_GRACE_SECONDS)


def lower(limit: int, value: int, more: int = 0) -> None:
    """Set the soft limit, and the hard one `more` above; never above the present hard limit."""
    allowed = resource.getrlimit(limit)[1]
    hard = value + more if allowed == resource.RLIM_INFINITY else min(value + more, allowed)
    resource.setrlimit(limit, (min(value, hard), hard))


def set_signals() -> None:
    """Set defaults: exec keeps what the guard, the worker, Python or nohup ignores.

    SIGXFSZ stays ignored on purpose: a file that grows too large then gives a clean error text.
    """
    libc = ctypes.CDLL(None)
    for signal in (*HANDED_DOWN, tree.SIGPIPE):
        libc.signal(signal, SIG_DFL)
    libc.signal(tree.SIGXFSZ, SIG_IGN)
