"""The options of every FFmpeg command: no questions, no network, only named formats and files."""

from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg

from tasks.media import MediaFacts
from worker.clip.allowlists import DECODERS
from worker.clip.seeking import is_in_order

MAX_PIXELS = 100_000_000  # as in the probe; a stream may still change its size later
PROGRESS_PERIOD_SECONDS = 0.5


def base_argv(told: str = "error") -> list[str]:
    """The binary and the options that hold for the whole command; `told` is how much it says."""
    return [
        str(imageio_ffmpeg.get_ffmpeg_exe()),
        "-nostdin",
        "-hide_banner",
        "-nostats",
        "-loglevel",
        told,
        "-y",
        "-progress",
        "pipe:1",
        "-stats_period",
        str(PROGRESS_PERIOD_SECONDS),
        "-filter_complex_threads",
        "1",  # each further thread costs whole pictures of memory, and filters take little time
    ]


def opened(source: Path, facts: MediaFacts, **options: object) -> Any:
    """The source as an input of ffmpeg-python: the probed format, known decoders, local files.

    A playlist is refused, whatever its name: its format is not the probed one. Where pictures are
    in order, FFmpeg's guess of a delay is undone.
    """
    if is_in_order(facts):
        options["bsf:v"] = "setts=pts=DTS"
    return ffmpeg.input(
        local(source),
        protocol_whitelist="file",
        format_whitelist=facts.container,
        codec_whitelist=",".join(sorted(DECODERS)),
        max_pixels=MAX_PIXELS,
        **options,
    )


def local(path: Path) -> str:
    """A path that FFmpeg reads neither as an option nor as another protocol, whatever its name."""
    return f"file:{path.absolute()}"


def seconds(value: float) -> str:
    """A time in the form of FFmpeg's options."""
    return f"{value:.6f}"
