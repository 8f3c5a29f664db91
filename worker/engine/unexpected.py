"""The job error for an exception that no tool reported."""

from __future__ import annotations

import errno
import logging
import secrets

from tasks.errors import (
    NO_ROOM,
    InternalError,
    JobError,
    StorageFull,
    StorageUnavailable,
    ToolFailed,
)

log = logging.getLogger(__name__)

_BROKEN_DISK = {errno.EROFS, errno.EIO, errno.ESTALE}
# Processes, descriptors, memory: some will be free when other processes have ended.
_MACHINE = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def as_job_error(error: BaseException) -> JobError:
    """A shortage of this machine may be over at the next attempt; any other error is our fault.

    The log has the whole error, the client gets a reference to it.
    """
    reference = secrets.token_hex(6)
    log.error("unexpected error", exc_info=error, extra={"values": {"reference": reference}})
    detail = {"reference": reference}
    number = error.errno if isinstance(error, OSError) else None
    if number in NO_ROOM:
        return StorageFull("this machine's disk has no space left", detail)
    if number in _BROKEN_DISK:
        return StorageUnavailable("this machine's disk could not be read or written", detail)
    if number in _MACHINE or _no_thread(error):
        return ToolFailed("this machine could start nothing more", detail)
    return InternalError("something went wrong inside", detail)


def _no_thread(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)
