"""How a clip is made: copied, cut smartly or encoded, and by which tool. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tasks.errors import NoSuchStream
from tasks.media import MediaFacts
from worker.clip import containers
from worker.clip.containers import CONTAINERS, is_sound_alone, takes_streams
from worker.clip.seeking import is_untimed, needs_exact_decoder

if TYPE_CHECKING:  # the PyAV programs import this file, and the imports of a spec take 3 MiB
    from tasks.kinds import ClipSpec

# The codecs whose packets can be copied beside newly encoded pictures.
JOINED_CODECS = frozenset({"h264", "vp9", "av1"})
# Apple's players want all of HEVC's parameter sets in the sample entry, and no encoder offers other
# identifiers than the source's: it is copied only where no picture needs encoding.
COPIED_CODECS = JOINED_CODECS | {"hevc"}


class Tool(StrEnum):
    """The tool that makes the clip."""

    FFMPEG = "ffmpeg"  # the command line
    PYAV = "pyav"  # worker.pyav.cut, which joins packets and finds frames anywhere


class Mode(StrEnum):
    """How the tool makes the clip."""

    COPY = "copy"  # packets from the keyframe at or before the start
    SMART = "smart"  # exact, copying what can be copied
    ENCODE = "encode"  # exact, everything encoded


@dataclass(frozen=True)
class Strategy:
    """A tool and a mode; the client sees `reason`."""

    tool: Tool
    mode: Mode
    reason: str


def choose_container(spec: ClipSpec, facts: MediaFacts) -> str:
    """The container of the clip: the client's, or a default where the client names none."""
    if spec.output.container is not None:
        return spec.output.container
    if facts.video is None and not any(it.endswith(" video") for it in facts.undecodable):
        return containers.DEFAULT_OF_SOUND
    if spec.mode == "copy" and not can_copy(facts, containers.DEFAULT):
        return containers.OF_ANY_CODEC
    return containers.DEFAULT


def choose_strategy(spec: ClipSpec, facts: MediaFacts, container: str) -> Strategy:
    """The tool and the mode. Raises NoSuchStream when the source lacks what was asked for."""
    _check_streams(spec, facts, container)
    if spec.mode == "copy":
        return Strategy(Tool.PYAV, Mode.COPY, "a copy was asked for")
    if container == "gif":
        return Strategy(Tool.FFMPEG, Mode.ENCODE, "a GIF is always encoded")
    if is_sound_alone(container) or facts.video is None:
        return Strategy(Tool.PYAV, Mode.SMART, "the clip is sound alone")
    if spec.output.subtitles == "burn":
        return Strategy(Tool.FFMPEG, Mode.ENCODE, "the subtitles are drawn into the pictures")
    if spec.output.changes_picture:
        return Strategy(Tool.FFMPEG, Mode.ENCODE, "the output changes the picture")
    # Pictures that MP4 does not take become H.264, and so does a smart cut that cannot copy.
    if container == "webm" and not CONTAINERS[container].takes_video(facts.video.codec):
        reason = f"{container} does not take {facts.video.codec}"
        return Strategy(Tool.FFMPEG, Mode.ENCODE, reason)
    if spec.mode != "encode":
        return _smart_or_encode(facts)
    tool = Tool.PYAV if needs_exact_decoder(facts) else Tool.FFMPEG
    return Strategy(tool, Mode.ENCODE, "encoding was asked for")


def can_copy(facts: MediaFacts, container: str) -> bool:
    """Whether the streams that a clip keeps can be copied into the container."""
    gif = facts.video is not None and facts.video.codec == "gif"  # its pictures lean on all before
    return takes_streams(container, facts) and (not gif or is_sound_alone(container))


def no_smart_cut(codec: str, *, interlaced: bool) -> str | None:
    """Why no packet of such a source can be copied into an exact clip; None where some may be."""
    if codec not in COPIED_CODECS:
        return f"{codec} video cannot be joined with encoded frames"
    if interlaced:
        return "interlaced video is encoded as a whole"
    return None


def _smart_or_encode(facts: MediaFacts) -> Strategy:
    assert facts.video is not None
    reason = no_smart_cut(facts.video.codec, interlaced=facts.video.interlaced)
    if reason is not None:
        return Strategy(Tool.PYAV, Mode.ENCODE, reason)
    return Strategy(Tool.PYAV, Mode.SMART, "only the frames around the cut points")


def _check_streams(spec: ClipSpec, facts: MediaFacts, container: str) -> None:
    if is_sound_alone(container) and not facts.audio:
        raise NoSuchStream("the source has no sound")
    if container == "gif" and facts.video is None:
        raise NoSuchStream("the source has no picture")
    if facts.video is None and not facts.audio:
        raise NoSuchStream("the source has neither picture nor sound")
    hidden = next((it for it in facts.undecodable if it.endswith(" video")), None)
    if facts.video is None and hidden is not None and not is_sound_alone(container):
        raise NoSuchStream(
            f"the source's {hidden} cannot be decoded here; "
            "set output.container to m4a or mp3 to keep the sound alone"
        )
    if spec.mode == "copy" and is_untimed(facts) and not is_sound_alone(container):
        raise NoSuchStream(
            "the source cannot be copied: it does not say when its pictures show; "
            "mode auto cuts it exactly"
        )
    if spec.mode == "copy" and not can_copy(facts, container):
        raise NoSuchStream(f"the source's streams cannot be copied into {container}")
