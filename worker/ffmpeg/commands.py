"""The FFmpeg commands: argument lists for copying, encoding and one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ffmpeg

from tasks.errors import NoSuchStream
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output
from worker.clip.gif import gif_wishes
from worker.clip.picture_size import shape_of
from worker.clip.plan import AUDIO_CONTAINERS, CutPlan
from worker.ffmpeg.encoders import audio_options, muxer_options, video_options
from worker.ffmpeg.filters import cut_picture, cut_sound, frame_rate, playable_colours, resized
from worker.ffmpeg.gif import paletted
from worker.ffmpeg.options import local, opened, opening_words, seconds

THUMBNAIL_QUALITY = 3  # of JPEG: 2 is best, 31 worst
UNKNOWN_SECONDS = 3600.0
MAIN_VIDEO = "V:0"  # the first that is no cover picture
MAIN_AUDIO = "a:0"


def encode_argv(plan: CutPlan) -> list[str]:
    """The command that makes the clip with every frame encoded.

    Raises NoSuchStream when the source lacks what the container is for.
    """
    source = _opened_before(plan, plan.facts)
    streams: list[Any] = []
    options: dict[str, object] = {}
    if plan.keeps_picture:
        video = _video_of(plan.facts)
        streams.append(_picture(source, plan, video))
        options |= video_options(plan, interlaced=video.interlaced and not _deinterlaces(plan))
    if plan.keeps_sound:
        _require_audio(plan.facts)
        streams.append(cut_sound(source[MAIN_AUDIO], plan))
        options |= audio_options(plan)
    return _command(streams, plan.target, {**options, **muxer_options(plan.container)})


def copy_argv(
    source: Path,
    target: Path,
    start_seconds: float,
    end_seconds: float,
    facts: MediaFacts,
    container: str,
) -> list[str]:
    """The command that copies the streams from the key picture at or before the start.

    For what `can_copy` allows. The clip's own zero is that key picture, up to 0.2 s of pictures
    after the end come along, and in Matroska it may be one key picture earlier than it need be.
    Raises NoSuchStream when the source lacks what the container is for.
    """
    seek = {} if start_seconds <= 0 else {"ss": seconds(start_seconds)}
    opened_source = opened(source, facts, **seek)
    options: dict[str, object] = {
        "c": "copy",
        "t": seconds(end_seconds - max(0.0, start_seconds)),
        "avoid_negative_ts": "make_zero",  # else the frames before the start would be hidden
        **muxer_options(container),
    }
    if facts.video and facts.video.codec == "hevc" and container == "mp4":
        options["tag:v"] = "hvc1"  # the only name under which Apple's players take it
    return _command(_copied(opened_source, facts, container), target, options)


def thumbnail_argv(
    source: Path, target: Path, at_seconds: float, max_width: int, facts: MediaFacts
) -> list[str]:
    """The command that writes the first frame at or after a time as a JPEG, never enlarged.

    Past the last frame nothing is written. Raises NoSuchStream when there are no pictures.
    """
    video = _video_of(facts)
    output = Output(width=max_width)
    end = at_seconds + (facts.duration_seconds or UNKNOWN_SECONDS)
    plan = CutPlan(source, target, at_seconds, end, facts, output, "jpeg")
    options: dict[str, object] = {"f": "mjpeg", "c:v": "mjpeg", "q:v": THUMBNAIL_QUALITY}
    options |= {"frames:v": 1, "threads:v": 1, "map_metadata": -1}
    return _command([_picture(_opened_before(plan, facts), plan, video)], target, options)


def _picture(source: Any, plan: CutPlan, video: VideoFacts) -> Any:
    if plan.container == "gif":
        plan = gif_wishes(plan, video)
    shape = shape_of(video, plan.output)
    deinterlaced = video.interlaced and _deinterlaces(plan)
    stream = cut_picture(source[MAIN_VIDEO], plan, video, deinterlaced=deinterlaced)
    if plan.output.fps is not None:
        stream = stream.filter("fps", frame_rate(plan.output.fps), start_time=0)
    stream = playable_colours(resized(stream, shape), video)
    return paletted(stream, plan, video) if plan.container == "gif" else stream


def _deinterlaces(plan: CutPlan) -> bool:
    """Lines of two moments survive neither a new height nor what shows whole pictures only."""
    return plan.output.changes_picture or plan.container not in ("mp4", "mkv")


def _copied(source: Any, facts: MediaFacts, container: str) -> list[Any]:
    if container in AUDIO_CONTAINERS:
        _require_audio(facts)
        return [source[MAIN_AUDIO]]
    _video_of(facts)
    return [source[MAIN_VIDEO], *([source[MAIN_AUDIO]] if facts.audio else [])]


def _opened_before(plan: CutPlan, facts: MediaFacts) -> Any:
    """The source from its pre-roll on, with its own time stamps, nothing cut by the seek itself.

    At the beginning no seek is better than one to zero, which in a stream without an index
    skips the first key picture.
    """
    seek = {} if plan.seek_seconds <= 0 else {"ss": seconds(plan.seek_seconds)}
    return opened(
        plan.source, facts, threads=plan.threads, copyts=None, noaccurate_seek=None, **seek
    )


def _video_of(facts: MediaFacts) -> VideoFacts:
    if facts.video is None:
        raise NoSuchStream("The source has no video.")
    return facts.video


def _require_audio(facts: MediaFacts) -> None:
    if not facts.audio:
        raise NoSuchStream("The source has no sound.")


def _command(streams: list[Any], target: Path, options: Mapping[str, object]) -> list[str]:
    output = ffmpeg.output(*streams, local(target), **options)
    words: list[str] = output.compile(cmd=opening_words())
    return words
