"""The job error that a finished FFmpeg process stands for, if any."""

import re
from pathlib import Path

from tasks.errors import (
    CorruptMedia,
    DeadlineExceeded,
    JobError,
    MemoryExceeded,
    NoSuchStream,
    NotMedia,
    RangeOutsideMedia,
    StorageFull,
    TooLarge,
    ToolFailed,
)
from worker.process.limits import Finished, ProcessEnd

TAIL_CHARACTERS = 2000
FILE_SIZE_SIGNAL = 25  # SIGXFSZ, where the tool does not ignore it

# The first match wins, so errors of this machine come before errors of the file: a full disk also
# makes FFmpeg report that writing the trailer failed.
_WORDS: tuple[tuple[str, type[JobError], str], ...] = (
    (r"No space left on device|Disk quota exceeded", StorageFull, "the disk is full"),
    (r"File too large", TooLarge, "the result is larger than a file may be here"),
    # A demuxer allocates what the file says of one packet. A size that the kernel refuses is a lie
    # of the file: the guard ends a tool that really needs so much long before that.
    (
        r"during demuxing: Cannot allocate memory",
        CorruptMedia,
        "the file is damaged or incomplete and cannot be read",
    ),
    (
        r"Cannot allocate memory|malloc of size \d+ failed|std::bad_alloc"
        r"|Memory allocation error",
        MemoryExceeded,
        "the tool needed more memory than its share",
    ),
    # The machine or the container has no more threads, or allows no more; a retry may get some.
    (
        r"pthread_create\(\) failed|Resource temporarily unavailable",
        ToolFailed,
        "the tool could not start its threads",
    ),
    # Our options are never wrong, so the cause is a lack of memory, which not every library names.
    (r"Error while opening encoder", ToolFailed, "the encoder could not be opened"),
    (
        r"exceeds specified max pixel count|Picture size \d+x\d+ is invalid",
        TooLarge,
        "the picture is larger than this service decodes",
    ),
    (
        r"matches no streams|Output file does not contain any stream|Unknown decoder"
        r"|[Dd]ecoder .{0,80}not found|no decoder found|not on whitelist, decoder",
        NoSuchStream,
        "the file does not have the stream that is needed, or no known codec for it",
    ),
    (
        r"Format not on whitelist|[Pp]rotocol .{0,80}not on whitelist",
        NotMedia,
        "the file is not what it looked like",
    ),
    (
        r"moov atom not found|Invalid data found|Error while decoding"
        r"|decode error rate .{0,60}exceeds|Cannot determine format of input|could not find codec"
        r"|EBML header parsing failed",
        CorruptMedia,
        "the file is damaged or incomplete and cannot be read",
    ),
    (
        r"Nothing was written into output file|Could not open encoder before EOF",
        RangeOutsideMedia,
        "the source has nothing to show in this range",
    ),
)
_BY_END: dict[ProcessEnd, tuple[type[JobError], str]] = {
    ProcessEnd.DEADLINE: (DeadlineExceeded, "the tool did not finish in time"),
    ProcessEnd.STALLED: (DeadlineExceeded, "the tool reported nothing for too long"),
    ProcessEnd.MEMORY: (MemoryExceeded, "the tool used more memory than its share"),
    ProcessEnd.PROCESSES: (ToolFailed, "the tool started more processes than a job may"),
    ProcessEnd.DISK: (StorageFull, "the tool wrote more than a job may"),
}
# FFmpeg quotes what it has found in the media: names of tracks, of decoders, of other files.
_QUOTED = re.compile(r"(?<!\w)(['\"])[^\n]*?\1")
_ADDRESS = re.compile(r"\w+://\S+")
# An absolute path does not begin at the end of a word, so that "1/25" and addresses stay readable.
_PATH = re.compile(r"(?:file:)?(?<![\w./])/(?!/)[^\s'\":,\]]+")
_QUERY = re.compile(r"(\w+://[^\s?#]+)[?#]\S*")
_USER = re.compile(r"(\w+://)[^\s/@]+@")


def failure_of(finished: Finished, folder: Path) -> JobError | None:
    """The error to raise for a finished process that worked in `folder`.

    None when the process did its work, and when it was stopped because its job was cancelled, the
    worker ends or the lease is lost: none of these is a failure of the process.
    """
    tail = {"stderr": scrubbed(finished.stderr_tail, folder)} if finished.stderr_tail else {}
    if finished.end in _BY_END:
        kind, message = _BY_END[finished.end]
        return kind(message, tail)
    if finished.end is not ProcessEnd.EXITED or finished.returncode == 0:
        return None
    return _by_words(finished, tail)


def _by_words(finished: Finished, tail: dict[str, str]) -> JobError:
    if finished.returncode == -FILE_SIZE_SIGNAL:
        return TooLarge("the result is larger than a file may be here", tail)
    text = _QUOTED.sub("''", _ADDRESS.sub("", finished.stderr_tail))
    for words, kind, message in _WORDS:
        if re.search(words, text):
            return kind(message, tail)
    return ToolFailed(f"the tool ended with {_status(finished.returncode)}", tail)


def _status(returncode: int) -> str:
    return f"status {returncode}" if returncode >= 0 else f"signal {-returncode}"


def scrubbed(tail: str, folder: Path) -> str:
    """A tool's last words without local paths, URL queries or user names; the end of them."""
    for place in (folder.resolve(), folder):
        tail = tail.replace(f"file:{place}/", "").replace(f"{place}/", "").replace(str(place), ".")
    text = _USER.sub(r"\1", _QUERY.sub(r"\1", tail))
    return _PATH.sub("[path]", text).strip()[-TAIL_CHARACTERS:]
