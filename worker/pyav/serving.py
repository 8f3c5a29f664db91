"""How a PyAV program runs: its spec from argv[1], its last line, every failure as an error."""

import errno
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from av import FFmpegError

from tasks.errors import (
    CorruptMedia,
    JobError,
    MemoryExceeded,
    StorageFull,
    TooLarge,
    ToolFailed,
)
from worker.pyav.protocol import FULL_DISK, write_line


def serve(program: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Run `program` on the spec in argv[1] and write its last line."""
    try:
        write_line({"result": program(json.loads(sys.argv[1]))})
    except JobError as error:
        write_error(error)
    except MemoryError:
        write_error(MemoryExceeded("the media needed more memory than the program may use"))
    except (OSError, FFmpegError) as error:
        write_error(_error_of(error))


def _error_of(error: OSError | FFmpegError) -> JobError:
    """What a failed call means for the job. Raises the error itself where nobody knows."""
    number = error.errno
    if number == errno.EAGAIN:  # a lack of threads, or of memory for their stacks
        return ToolFailed("a thread could not be started")
    if number == errno.ENOMEM:
        return MemoryExceeded("the media needed more memory than the program may use")
    if number == errno.EFBIG:
        return TooLarge("the result is larger than a file may be here")
    if number in FULL_DISK:
        return StorageFull("the disk has no space for the result")
    if isinstance(error, FFmpegError) and not isinstance(error, FileNotFoundError):
        return CorruptMedia("the file is damaged and cannot be read here")
    raise error


def write_error(error: JobError) -> None:
    """Write the last line of a program that cannot do what its spec asks."""
    write_line({"error": {"code": error.code, "message": error.message}})
