"""The test process keeps its usual priority, as the tools of a job do."""

from __future__ import annotations

import ctypes
import os
import resource

_VERSION_3 = 0x20080522
_CAP_SYS_NICE = 1 << 23


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Set(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def keep_usual_priority() -> None:
    """Give up the right to be a real-time process, for this thread and all that it starts.

    A PyAV program that runs inside a test encodes AV1 here. Under root the encoder makes its
    process SCHED_FIFO 99, and every test after that, with all its servers and workers, would run
    before anything else on the machine.
    """
    if os.geteuid() != 0:
        return
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Set * 2)()
    _checked(libc.capget(ctypes.byref(header), sets))
    sets[0].effective &= ~_CAP_SYS_NICE
    _checked(libc.capset(ctypes.byref(header), sets))


def _checked(answer: int) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), "the capabilities cannot be changed")
