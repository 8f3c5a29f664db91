"""The FFmpeg commands: argument lists for encoding and one picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ffmpeg

from tasks.errors import NoSuchStream
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output
from worker.clip.gif import gif_output
from worker.clip.picture_size import shape_of
from worker.clip.plan import GRACE_SECONDS, STILL_SECONDS, ClipPlan, Pictures
from worker.clip.seeking import is_untimed
from worker.clip.strategy import Mode, Strategy, Tool
from worker.ffmpeg.encoders import audio_options, muxer_options, video_options
from worker.ffmpeg.filters import (
    at_rate,
    cut_picture,
    cut_sound,
    frame_rate,
    playable_colours,
    resized,
    with_texts,
)
from worker.ffmpeg.gif import paletted
from worker.ffmpeg.letters import TELLING_OF_LETTERS
from worker.ffmpeg.options import base_argv, local, opened, seconds

THUMBNAIL_QUALITY = 3  # of JPEG: 2 is best, 31 worst
UNKNOWN_SECONDS = 3600.0
DEFAULT_RATE = 25.0  # an AVI without a rate cannot be read at all


def encode_argv(plan: ClipPlan, source: Path, target: Path, texts: Path | None = None) -> list[str]:
    """The command that makes a clip of pictures with every frame encoded.

    `texts` is an ASS script to draw into the pictures, at the clip's own time. Raises NoSuchStream
    when the source has no picture.
    """
    video = _video_of(plan.facts)
    opened_source = _opened_before(plan, source)
    streams = [_picture(opened_source, plan, video, texts)]
    options = video_options(plan, interlaced=video.interlaced and not _deinterlaces(plan))
    for track in plan.sounds:
        streams.append(cut_sound(opened_source[str(track.index)], plan))
    if plan.sounds:
        options |= audio_options(plan)
    if plan.pictures is not None and plan.output.fps is None and plan.container != "gif":
        options |= _still_at_end(plan.pictures)
    told = "error" if texts is None else TELLING_OF_LETTERS
    return _command(streams, target, {**options, **muxer_options(plan.container)}, told)


def _still_at_end(pictures: Pictures) -> dict[str, object]:
    """The options that end the last picture with the range: it may last longer in the source.

    MP4 keeps lengths in the order of decoding, so a still has to be decoded last, as a key picture.
    """
    length = pictures.end - pictures.last
    is_last = f"gte(PTS*TB,{pictures.last - GRACE_SECONDS:.6f})"
    others = f"min(DURATION,max(1,{pictures.end:.6f}/TB-PTS))"
    lengths = f"if({is_last},{length:.6f}/TB,{others})"
    options: dict[str, object] = {"bsf:v": f"setts=pts=PTS:dts=DTS:duration='{lengths}'"}
    if length > STILL_SECONDS:
        options |= {"force_key_frames:v": f"{pictures.last:.6f}", "forced-idr:v": 1}
    return options


def thumbnail_argv(
    source: Path, target: Path, at_seconds: float, max_width: int, facts: MediaFacts
) -> list[str]:
    """The command that writes the first frame at or after a time as a JPEG, never enlarged.

    Past the last frame nothing is written. Raises NoSuchStream when there are no pictures.
    """
    video = _video_of(facts)
    end = at_seconds + (facts.duration_seconds or UNKNOWN_SECONDS)
    one = Strategy(Tool.FFMPEG, Mode.ENCODE, "one picture")
    plan = ClipPlan(facts, Output(width=max_width), one, "jpeg", at_seconds, end, end)
    options: dict[str, object] = {"f": "mjpeg", "c:v": "mjpeg", "q:v": THUMBNAIL_QUALITY}
    options |= {"frames:v": 1, "threads:v": 1, "map_metadata": -1}
    return _command([_picture(_opened_before(plan, source), plan, video)], target, options)


def _picture(source: Any, plan: ClipPlan, video: VideoFacts, texts: Path | None = None) -> Any:
    if plan.container == "gif":
        plan = gif_output(plan, video)
    shape = shape_of(video, plan.output)
    deinterlaced = video.interlaced and _deinterlaces(plan)
    stream = cut_picture(source[str(video.index)], plan, video, deinterlaced=deinterlaced)
    if plan.output.fps is not None:
        stream = at_rate(stream, plan, plan.output.fps)
    stream = playable_colours(resized(stream, shape), video)
    if texts is not None:
        stream = with_texts(stream, texts)
    return paletted(stream, plan, video) if plan.container == "gif" else stream


def _deinterlaces(plan: ClipPlan) -> bool:
    """Interlaced lines survive neither a new height nor a container of whole pictures only."""
    return plan.output.changes_picture or plan.container not in ("mp4", "mkv")


def _opened_before(plan: ClipPlan, source: Path) -> Any:
    """The source from its pre-roll on, with its own time stamps; the seek itself cuts nothing.

    At the beginning there is no seek: a seek to zero skips the first key picture in a stream
    without an index. Pictures that have no times of their own are counted, from the first one on.
    """
    video = plan.facts.video
    if video is not None and is_untimed(plan.facts):
        counted = {"r": frame_rate(video.fps or DEFAULT_RATE), "threads": plan.threads}
        return opened(source, plan.facts, copyts=None, **counted)
    seek = {} if plan.seek_seconds <= 0 else {"ss": seconds(plan.seek_seconds)}
    return opened(
        source, plan.facts, threads=plan.threads, copyts=None, noaccurate_seek=None, **seek
    )


def _video_of(facts: MediaFacts) -> VideoFacts:
    if facts.video is None:
        raise NoSuchStream("the source has no video")
    return facts.video


def _command(
    streams: list[Any], target: Path, options: Mapping[str, object], told: str = "error"
) -> list[str]:
    output = ffmpeg.output(*streams, local(target), **options)
    words: list[str] = output.compile(cmd=base_argv(told))
    return words
