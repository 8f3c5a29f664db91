"""Program: report what a media file holds, without decoding more than its headers need.

Spec: {"source": path}. Result: `MediaFacts.to_dict()`.
"""

import re
import resource
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from tasks.errors import CorruptMedia, NoSuchStream, NotMedia
from tasks.media import AudioFacts, ColourFacts, MediaFacts, SubtitleFacts, VideoFacts
from worker.clip.allowlists import DECODERS, TEXT_DECODERS
from worker.pyav.bitstream.references import references_in
from worker.pyav.opening import open_source, png_size, refuse_huge_pictures
from worker.pyav.packets import packets_of
from worker.pyav.serving import serve

MAX_HEADER_BYTES = 100 * 2**20
MAX_PACKETS_TO_FIRST = 500
MAX_DUMPED_TAG_CHARACTERS = 1_000_000
ENCRYPTED_TAGS = frozenset({"encv", "enca", "drmi", "drms"})
PROGRESSIVE_OR_UNKNOWN = frozenset({0, 1})  # AVFieldOrder
# FFmpeg's enumerations in FFmpeg's own names (libavutil/pixdesc.c); 2 is "unspecified".
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
PRIMARIES |= {8: "film", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"}
TRANSFERS = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear"}
TRANSFERS |= {13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084"}
TRANSFERS |= {17: "smpte428", 18: "arib-std-b67"}
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m"}
MATRICES |= {8: "ycgco", 9: "bt2020nc", 10: "bt2020c", 14: "ictcp"}
RANGES = {1: "tv", 2: "pc"}


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Probe `spec["source"]`."""
    path = str(Path(spec["source"]).absolute())
    _limit_memory()
    with open_source(path) as container:
        _refuse_still_picture(container, path)
        return facts_of(container, Path(path).stat().st_size).to_dict()


def _limit_memory() -> None:
    """Limit the memory to what a normal file's headers need: a 100 MB tag is not worth reading."""
    wanted = _data_bytes() + MAX_HEADER_BYTES
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (wanted, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))


def _data_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmData:")[1].split()[0]) * 1024


def _refuse_still_picture(container: InputContainer, path: str) -> None:
    if container.format.name.endswith("_pipe"):
        if container.format.name == "png_pipe":
            refuse_huge_pictures(*png_size(path))
        raise NotMedia("the file is a still picture")


def facts_of_file(path: str) -> MediaFacts:
    """The facts of a finished file of ours."""
    with open_source(path) as container:
        return facts_of(container, Path(path).stat().st_size)


def facts_of(container: InputContainer, size_bytes: int) -> MediaFacts:
    """The facts of an open file.

    Raises TooLarge, NotMedia, NoSuchStream (nothing that can be played), CorruptMedia.
    """
    video = main_video(container)
    if video is not None:
        refuse_huge_pictures(video.codec_context.width, video.codec_context.height)
    audio = playable_audio(container)
    if video is None and not audio:
        raise NoSuchStream(_why_nothing_plays(container))
    if _is_encrypted(container, video or audio[0]):
        raise NoSuchStream("the file is encrypted")
    return MediaFacts(
        container=container.format.name,
        start_time_seconds=(container.start_time or 0) / av.time_base,
        duration_seconds=_duration_seconds(container),
        size_bytes=size_bytes,
        video=_video_facts(video) if video else None,
        audio=tuple(_audio_facts(stream) for stream in audio),
        subtitles=tuple(map(_subtitle_facts, container.streams.subtitles)),
        chapter_count=len(container.chapters()),
        undecodable=tuple(_undecodable(container)),
    )


def main_video(container: InputContainer) -> VideoStream | None:
    """The video stream that a player would show: the first default one that is no cover picture."""
    moving = [
        stream
        for stream in container.streams.video
        if _is_playable(stream) and not stream.disposition & Disposition.attached_pic
    ]
    defaults = [stream for stream in moving if stream.disposition & Disposition.default]
    return next(iter(defaults or moving), None)


def playable_audio(container: InputContainer) -> list[AudioStream]:
    """The audio streams that can be decoded, in file order."""
    return [
        stream for stream in container.streams.audio if _is_playable(stream) and stream.sample_rate
    ]


def _undecodable(container: InputContainer) -> Iterator[str]:
    """The moving pictures and the sounds that are not playable."""
    for stream in (*container.streams.video, *container.streams.audio):
        cover = stream.disposition & Disposition.attached_pic
        if not cover and not _is_playable(stream):
            codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            yield f"{codec} {'video' if stream.type == 'video' else 'sound'}"


def _is_playable(stream: Stream) -> bool:
    context = stream.codec_context
    return (
        context is not None
        and context.codec.name in DECODERS
        and _tag(stream) not in ENCRYPTED_TAGS
    )


def _tag(stream: Stream) -> str:
    """The container's four letters for the codec; AVI's are often not letters at all."""
    try:
        return stream.codec_context.codec_tag
    except UnicodeDecodeError:
        return ""


def _is_encrypted(container: InputContainer, stream: VideoStream | AudioStream) -> bool:
    """Whether the stream's first packet needs a key (common encryption keeps the plain codec)."""
    for packet in islice(packets_of(container, list(container.streams)), MAX_PACKETS_TO_FIRST):
        if packet.stream_index == stream.index:
            return packet.has_sidedata("encryption_info")
    return False


def _why_nothing_plays(container: InputContainer) -> str:
    if any(_tag(stream) in ENCRYPTED_TAGS for stream in container.streams if stream.codec_context):
        return "the file is encrypted"
    if len(container.streams):
        return "the file holds no video or audio of a known codec"
    return "the file holds no streams"


def _duration_seconds(container: InputContainer) -> float | None:
    return None if container.duration is None else container.duration / av.time_base


def _video_facts(stream: VideoStream) -> VideoFacts:
    context = stream.codec_context
    if context.width <= 0 or context.height <= 0:
        raise CorruptMedia("the file's video has no readable picture size")
    aspect, rate = stream.sample_aspect_ratio, stream.average_rate or stream.guessed_rate
    return VideoFacts(
        codec=context.codec.canonical_name,
        profile=context.profile,
        width=context.width,
        height=context.height,
        pix_fmt=context.pix_fmt,
        bit_depth=context.format.components[0].bits if context.format else 8,
        fps=float(rate) if rate else None,
        rotation=rotation_of(stream),
        sample_aspect_ratio=f"{aspect.numerator}:{aspect.denominator}" if aspect else "1:1",
        interlaced=is_interlaced(stream),
        colour=_colour_facts(stream),
        frame_count=stream.frames or None,
        references=references_in(context.codec.canonical_name, context.extradata or b""),
        index=stream.index,
        reorders=context.reorder_depth > 0,
    )


def is_interlaced(stream: VideoStream) -> bool:
    """Whether the stream declares that its pictures are pairs of fields."""
    return stream.codec_context.field_order not in PROGRESSIVE_OR_UNKNOWN


def _colour_facts(stream: VideoStream) -> ColourFacts:
    context = stream.codec_context
    return ColourFacts(
        primaries=PRIMARIES.get(int(context.color_primaries)),
        transfer=TRANSFERS.get(int(context.color_trc)),
        matrix=MATRICES.get(int(context.colorspace)),
        range=RANGES.get(int(context.color_range)),
    )


def _audio_facts(stream: AudioStream) -> AudioFacts:
    return AudioFacts(
        codec=stream.codec_context.codec.canonical_name,
        sample_rate=stream.sample_rate,
        channels=stream.codec_context.channels,
        language=None if stream.language == "und" else stream.language,
        index=stream.index,
        title=stream.metadata.get("title"),
        default=bool(stream.disposition & Disposition.default),
    )


def _subtitle_facts(stream: SubtitleStream) -> SubtitleFacts:
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else "unknown"
    return SubtitleFacts(
        codec=codec,
        index=stream.index,
        is_text=context is not None and context.codec.name in TEXT_DECODERS,
        language=None if stream.language == "und" else stream.language,
        title=stream.metadata.get("title"),
        default=bool(stream.disposition & Disposition.default),
    )


def rotation_of(stream: VideoStream) -> int:
    """Degrees clockwise by which a player turns the picture, by the container's metadata.

    PyAV shows a stream's display matrix only in FFmpeg's printed summary, so that is read,
    unless the file is so full of tags that printing it would itself be the attack.
    """
    container = stream.container
    tags = [container.metadata, *(other.metadata for other in container.streams)]
    if sum(len(value) for tag in tags for value in tag.values()) > MAX_DUMPED_TAG_CHARACTERS:
        return 0
    av.logging.set_level(av.logging.INFO)
    try:
        summary = str(container.dumps_format())  # type: ignore[attr-defined]  # not in the stubs
    finally:
        av.logging.set_level(None)
    after = re.split(rf"Stream #0:{stream.index}\b", summary, maxsplit=1)[-1]
    own = after.split("Stream #0:", 1)[0]
    found = re.search(r"Display Matrix: rotation of (-?\d+(?:\.\d+)?) degrees", own)
    return round(-float(found[1]) / 90) * 90 % 360 if found else 0


if __name__ == "__main__":
    serve(main)
