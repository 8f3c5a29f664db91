"""The FFmpeg command that moves a whole file's streams into another container."""

from pathlib import Path

import ffmpeg

from tasks.media import MediaFacts
from worker.clip.containers import CONTAINERS
from worker.ffmpeg.encoders import MP4_FLAGS
from worker.ffmpeg.options import base_argv, local, opened


def remux_argv(
    source: Path, target: Path, facts: MediaFacts, container: str, aspect: str | None = None
) -> list[str]:
    """The command that copies the picture and every playable sound, with tags and chapters.

    Matroska takes the subtitles as well. For sources whose streams fit the container. `aspect` is
    the shape of the whole picture, such as 16:9, where the file does not say it.
    """
    kept = [facts.video.index] if facts.video else []
    kept += [track.index for track in facts.audio]
    file = opened(source, facts)
    streams = [file[str(index)] for index in kept]
    if container == "mkv" and facts.subtitles:
        streams.append(file["s"])
    options: dict[str, object] = {"c": "copy", "f": CONTAINERS[container].muxer}
    if CONTAINERS[container].hides_lead_in:
        options["movflags"] = MP4_FLAGS
    if facts.video and facts.video.codec == "hevc" and container == "mp4":
        options["tag:v"] = "hvc1"  # the only tag of HEVC that Apple's players accept
    if aspect is not None:
        options["aspect"] = aspect
    words: list[str] = ffmpeg.output(*streams, local(target), **options).compile(cmd=base_argv())
    return words
