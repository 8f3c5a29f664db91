"""Running yt-dlp: extract what is behind a URL, or download it into one file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from config.ytdlp import BUNDLED
from tasks.errors import (
    DeadlineExceeded,
    JobError,
    MemoryExceeded,
    NetworkError,
    NotMedia,
    StorageFull,
    TooLarge,
    ToolFailed,
    Unavailable,
)
from tasks.network import NetworkUse
from worker.process.run import Finished, Limits, ProcessEnd, Stopped
from worker.ytdlp.command import (
    ITEMS_FILE,
    LIST_FILE,
    PROXY_FILE,
    RESULT_FILE,
    URL_FILE,
    checked,
    download_argv,
    extract_argv,
)
from worker.ytdlp.failures import failure_of
from worker.ytdlp.info import to_info
from worker.ytdlp.notes import NOTES_BYTES, read_notes
from worker.ytdlp.output import OnProgress, OutputReader

Run = Callable[[list[str], Limits, Callable[[str], None] | None], Finished]

SILENCE_SECONDS = 90.0  # how long a source may be silent, if the caller names no other time
# FFmpeg prints nothing while it joins or converts, so that time is added to the silence.
JOINING_BYTES_PER_SECOND = 20_000_000  # a slow disk
CONVERTING_SPEED = 20  # sound is converted at least so many times faster than it plays
SPARE_BYTES = 64 * 1024 * 1024
LITTLE_ROOM_BYTES = 1024 * 1024
_TOO_LARGE = "the source is larger than allowed"


@dataclass(frozen=True)
class Download:
    """A finished file in the job's folder, and what is known about its source.

    The source declares the container, which may be wrong: probe the file. `joined`: it was made of
    two streams of the site.
    """

    path: Path
    info: dict[str, Any]
    warnings: tuple[str, ...] = ()
    joined: bool = False
    network: NetworkUse | None = None


def extract(
    url: str,
    *,
    playlist_items: int,
    folder: Path,
    run: Run,
    limits: Limits,
    proxy: str,
    program: Sequence[str] = BUNDLED,
) -> dict[str, Any]:
    """The `info` of a URL; of a list, with at most `playlist_items` entries.

    `proxy` is the only way to
    the network, `program` starts yt-dlp.     Raises a JobError, or Stopped.
    """
    argv = extract_argv(playlist_items, program)
    _write_inputs(url, proxy, folder)
    allowed = replace(
        limits,
        silence_seconds=limits.silence_seconds or SILENCE_SECONDS,
        file_bytes=NOTES_BYTES + 1,
        folder_bytes=4 * NOTES_BYTES,
    )
    finished = run(argv, allowed, OutputReader())
    items, lists = read_notes(folder / ITEMS_FILE), read_notes(folder / LIST_FILE)
    if finished.end is ProcessEnd.EXITED and lists:  # one bad entry does not spoil a list
        return to_info({**lists[0], "entries": items[:playlist_items]})
    _raise_unless_done(finished, url, folder, NOTES_BYTES)
    if not items:
        raise Unavailable("there is nothing at this address")
    return to_info(items[0])


def download(
    url: str,
    *,
    quality: str,
    container: str | None,
    folder: Path,
    run: Run,
    limits: Limits,
    max_bytes: int,
    max_duration_seconds: float,
    on_progress: OnProgress,
    proxy: str,
    program: Sequence[str] = BUNDLED,
) -> Download:
    """Fetch the media behind a URL into one file in `folder`; of a list, its first item.

    Without `container`, the file is what the site delivers. With one, the streams that fit it are
    preferred and sound alone is converted, but pictures stay in the container that they came in.
    `on_progress` receives the part done (0 to 1, never falling), bytes a second and seconds left,
    each None while unknown. Raises a JobError, or Stopped.
    """
    argv = download_argv(quality, container, max_bytes, max_duration_seconds, program)
    _write_inputs(url, proxy, folder)
    allowed = _download_limits(limits, quality, max_bytes, max_duration_seconds)
    finished = run(argv, allowed, OutputReader(on_progress))
    _raise_unless_done(finished, url, folder, max_bytes)
    results = read_notes(folder / RESULT_FILE)
    if not results:
        raise Unavailable("there is nothing to download at this address")
    path = _claim_result(results[0], folder, max_bytes)
    joined = "+" in str(results[0].get("format_id"))  # a site's own id may have one: no harm
    return Download(path, to_info(results[0]), _warnings(results[0], quality), joined)


def _write_inputs(url: str, proxy: str, folder: Path) -> None:
    """What must not be seen in the arguments of a process."""
    (folder / URL_FILE).write_text(f"{checked(url)}\n", encoding="utf-8")
    (folder / PROXY_FILE).write_text(f'--proxy "{proxy}"\n', encoding="utf-8")


def _download_limits(
    limits: Limits, quality: str, max_bytes: int, max_duration_seconds: float
) -> Limits:
    """A declared length may be wrong, so each file is limited; joining takes both sizes twice."""
    joining = max_bytes / JOINING_BYTES_PER_SECOND
    converting = max_duration_seconds / CONVERTING_SPEED if quality == "audio" else 0.0
    return replace(
        limits,
        silence_seconds=(limits.silence_seconds or SILENCE_SECONDS) + joining + converting,
        file_bytes=max_bytes + 1,  # one more, so that a file of just the size can be told apart
        folder_bytes=2 * max_bytes + SPARE_BYTES,
    )


def _claim_result(note: dict[str, Any], folder: Path, max_bytes: int) -> Path:
    """The finished file; only a plain file in our folder is accepted."""
    found = folder / Path(str(note.get("filepath") or "media.mp4")).name
    if found.is_symlink() or not found.is_file():
        raise ToolFailed("the download ended without a file")
    size = found.stat().st_size
    if size > max_bytes:
        raise TooLarge(_TOO_LARGE, {"max_bytes": max_bytes})
    if size == 0:
        raise NotMedia("the source is empty")
    return found


def _warnings(note: dict[str, Any], quality: str) -> tuple[str, ...]:
    warnings: list[str] = []
    count = note.get("playlist_count")
    if isinstance(count, int) and count > 1:
        warnings.append(f"the address is a list of {count} items: only the first was downloaded")
    sides = [note.get("width"), note.get("height")]
    wanted = quality.removesuffix("p")
    known = [side for side in sides if isinstance(side, int)]
    if wanted.isdigit() and known and min(known) > int(wanted):
        warnings.append(f"the source has nothing as small as {quality}: this is {min(known)}p")
    return tuple(warnings)


def _raise_unless_done(finished: Finished, url: str, folder: Path, max_bytes: int) -> None:
    if finished.end in (ProcessEnd.CANCELLED, ProcessEnd.SHUTDOWN, ProcessEnd.LOST):
        raise Stopped(finished.end)
    if finished.end is not ProcessEnd.EXITED:
        raise _ended(finished.end)
    if finished.returncode != 0:
        raise _failed(finished, url, folder, max_bytes)


def _ended(end: ProcessEnd) -> JobError:
    """The job error for a limit of the process that was reached."""
    errors: dict[ProcessEnd, JobError] = {
        ProcessEnd.DEADLINE: DeadlineExceeded("reading the source took longer than allowed"),
        ProcessEnd.STALLED: NetworkError("the source sent nothing for too long"),
        ProcessEnd.MEMORY: MemoryExceeded("reading the source took more memory than allowed"),
        ProcessEnd.PROCESSES: ToolFailed("reading the source took more processes than allowed"),
        ProcessEnd.DISK: TooLarge(_TOO_LARGE),
    }
    return errors[end]


def _failed(finished: Finished, url: str, folder: Path, max_bytes: int) -> JobError:
    """The job error of a failure. The files are checked first: FFmpeg's own errors get lost."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if any(path.stat().st_size > max_bytes for path in files):
        return TooLarge(_TOO_LARGE, {"max_bytes": max_bytes})
    if shutil.disk_usage(folder).free < LITTLE_ROOM_BYTES:
        return StorageFull("this machine has no space left")
    private = (str(folder.resolve()), str(folder))
    return failure_of(finished.stderr_tail, url=url, private=private)
