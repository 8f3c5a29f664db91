"""Moving a download into the container that its job asked for."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import NoSuchStream
from tasks.media import MediaFacts
from worker import ffmpeg
from worker.clip.containers import misfit
from worker.clip.seeking import is_untimed
from worker.process.tools import ToolRunner

SILENCE_SECONDS = 120.0  # the index of a large file is written at its end, without a word
SPARE_BYTES = 16 * 1024 * 1024  # for the new container's own tables


JOINED = ("mp4", "webm")  # else Matroska, which takes everything


def best_joined(facts: MediaFacts) -> str | None:
    """The container that two joined streams belong into, where yt-dlp chose a more general one.

    It chooses by the site's words for codecs, and knows few: HEVC with AAC became Matroska.
    """
    return next((name for name in JOINED if misfit(name, facts) is None), None)


def remuxed(
    path: Path, facts: MediaFacts, container: str, tools: ToolRunner
) -> tuple[Path, tuple[str, ...]]:
    """The file with its streams copied into the container, and what was left out.

    Raises NoSuchStream when a stream does not fit, and the errors of FFmpeg.
    """
    _check_fit(facts, container)
    target = path.with_name(f"remuxed.{container}")
    bytes_at_most = 2 * facts.size_bytes + SPARE_BYTES
    limits = tools.limits(SILENCE_SECONDS, file_bytes=bytes_at_most, folder_bytes=2 * bytes_at_most)
    finished = tools.run("ffmpeg", ffmpeg.remux_argv(path, target, facts, container), limits)
    error = ffmpeg.failure_of(finished, tools.folder)
    if error is not None:
        raise error
    path.unlink()
    if facts.subtitles and container != "mkv":
        return target, (f"the subtitles were left out, since {container} was asked for",)
    return target, ()


def _check_fit(facts: MediaFacts, container: str) -> None:
    stream = misfit(container, facts)
    if stream is not None:
        raise NoSuchStream(
            f"{container} does not take the source's {stream}; "
            "leave container out to keep the file as it is"
        )
    if is_untimed(facts):
        raise NoSuchStream(
            f"the source does not say when its pictures show, as {container} has to; "
            "leave container out to keep the file as it is"
        )
