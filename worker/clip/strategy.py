"""How a clip is cut: copied, joined or encoded, and by which tool. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tasks.errors import NoSuchStream
from tasks.kinds import ClipSpec
from tasks.media import MediaFacts
from worker import ffmpeg

SOUND_CONTAINERS = frozenset({"m4a", "mp3"})
WEBM_CODECS = frozenset({"vp8", "vp9", "av1"})


class Tool(StrEnum):
    """What makes the clip."""

    FFMPEG = "ffmpeg"  # the command line
    PROGRAM = "program"  # worker.pyav.cut, which joins packets and finds frames anywhere


@dataclass(frozen=True)
class Way:
    """A decision; `mode` is what the tool is asked for, `reason` is for the client."""

    tool: Tool
    mode: str
    reason: str
    container: str


def container_of(spec: ClipSpec, facts: MediaFacts) -> str:
    """What the clip is written into, when the client leaves it open as well."""
    if spec.output.container is not None:
        return spec.output.container
    if facts.video is None:
        return "m4a"
    if spec.mode == "copy" and ffmpeg.needs_exact_decoder(facts):
        raise NoSuchStream("the source has no index to copy by; mode auto cuts it exactly")
    if spec.mode == "copy" and not ffmpeg.can_copy(facts, "mp4"):
        return "mkv"
    return "mp4"


def way_of(spec: ClipSpec, facts: MediaFacts) -> Way:
    """Decide. Raises NoSuchStream when the source lacks what was asked for."""
    container = container_of(spec, facts)
    _check_streams(spec, facts, container)
    if spec.mode == "copy":
        return Way(Tool.FFMPEG, "copy", "a copy was asked for", container)
    if container == "gif":
        return Way(Tool.FFMPEG, "encode", "a GIF is always encoded", container)
    if container in SOUND_CONTAINERS or facts.video is None:
        return Way(Tool.PROGRAM, "auto", "the clip is sound alone", container)
    if spec.output.changes_picture:
        return Way(Tool.FFMPEG, "encode", "the output changes the picture", container)
    if container == "webm" and facts.video.codec not in WEBM_CODECS:
        return Way(Tool.FFMPEG, "encode", f"webm does not take {facts.video.codec}", container)
    if spec.mode != "encode":
        return Way(Tool.PROGRAM, "auto", "only the frames around the cut points", container)
    if ffmpeg.needs_exact_decoder(facts):
        return Way(Tool.PROGRAM, "encode-exact", "encoding was asked for", container)
    return Way(Tool.FFMPEG, "encode", "encoding was asked for", container)


def _check_streams(spec: ClipSpec, facts: MediaFacts, container: str) -> None:
    if container in SOUND_CONTAINERS and not facts.audio:
        raise NoSuchStream("the source has no sound")
    if container == "gif" and facts.video is None:
        raise NoSuchStream("the source has no picture")
    if facts.video is None and not facts.audio:
        raise NoSuchStream("the source has neither picture nor sound")
    if spec.mode == "copy" and ffmpeg.needs_exact_decoder(facts):
        raise NoSuchStream("the source has no index to copy by; mode auto cuts it exactly")
    if spec.mode == "copy" and not ffmpeg.can_copy(facts, container):
        raise NoSuchStream(f"the source's streams cannot be copied into {container}")
