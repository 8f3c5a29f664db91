"""Text subtitles of a range: read, moved to the clip's own time, encoded for its container."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.container import InputContainer
from av.error import InvalidDataError
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from worker.pyav.clip_writer import TEXT_TICK as TICK
from worker.pyav.opening import open_source
from worker.pyav.packets import AnyPacket

LEAD_SECONDS = 60  # a text that appeared so long before the range may still be shown
INTERLEAVE_SLACK_SECONDS = 15
MOST_CUES = 20_000  # of one track
MOST_AT_ONCE = 50  # more texts at one moment than a screen has lines
_HEAD = b"0,0,Default,,0,0,0,,"  # the fields of an ASS dialogue before its text


@dataclass(frozen=True, slots=True)
class Cue:
    """One text: when it is shown, in ticks of the clip, and what, in ASS's own form."""

    begin: int
    end: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """What one packet shows, in seconds of the clip, as the decoder gives it out."""

    begin: Fraction
    end: Fraction
    lines: tuple[AssSubtitle, ...]


@dataclass(frozen=True, slots=True)
class Subtitles:
    """One track of the source: its texts in the range, and how it looks and is called."""

    cues: list[Cue]
    header: bytes | None  # ASS's styles
    tags: Mapping[str, str]
    default: bool
    codec: str


def read_subtitles(
    path: str, indexes: tuple[int, ...], begin: Fraction, end: Fraction
) -> tuple[list[Subtitles], list[str]]:
    """The tracks with their texts between two times of the source, and warnings.

    The file is read from a minute before the range on, since a text may have begun before it.
    """
    if not indexes:
        return [], []
    with open_source(path) as container:
        streams = [it for it in container.streams.subtitles if it.index in indexes]
        cues: dict[int, list[Cue]] = defaultdict(list)
        damaged = 0
        for packet in _packets(container, streams, begin, end):
            try:
                found = _cue(packet, begin, end)
            except (InvalidDataError, UnicodeDecodeError):
                damaged += 1
                continue
            if found is not None and len(cues[packet.stream_index]) < MOST_CUES:
                cues[packet.stream_index].append(found)
        tracks = [_track(stream, cues[stream.index]) for stream in streams]
    full = any(len(track.cues) == MOST_CUES for track in tracks)
    warnings = [f"subtitles after the first {MOST_CUES:,} texts were left out"] if full else []
    if damaged:
        warnings.append(f"{damaged} damaged subtitle texts were left out")
    return tracks, warnings


def _packets(
    container: InputContainer, streams: list[SubtitleStream], begin: Fraction, end: Fraction
) -> Iterator[AnyPacket]:
    """The packets of the subtitles; the other streams tell where reading can stop."""
    zero = Fraction(container.start_time or 0, av.time_base)
    if begin - zero > LEAD_SECONDS:
        container.seek(int((begin - LEAD_SECONDS) * av.time_base))
    own = {stream.index for stream in streams}
    last = end + INTERLEAVE_SLACK_SECONDS
    for packet in container.demux([*streams, *container.streams.video[:1]]):
        if packet.size and packet.pts is not None:
            if packet.stream_index in own:
                yield packet
            elif packet.pts * packet.time_base > last:
                return


def script_of(
    path: str, index: int, begin: Fraction, end: Fraction
) -> tuple[list[Shown], bytes | None, int]:
    """One track's texts between two times of the source, with all of their styles.

    Also the head of its script, and how many texts are damaged.
    """
    texts: list[Shown] = []
    damaged = 0
    with open_source(path) as container:
        stream = next(it for it in container.streams.subtitles if it.index == index)
        for packet in _packets(container, [stream], begin, end):
            try:
                found = _shown(packet, begin, end)
            except (InvalidDataError, UnicodeDecodeError):
                damaged += 1
                continue
            if found is not None and len(texts) <= MOST_CUES:
                texts.append(found)
        return texts, _opened(stream).subtitle_header, damaged


def _cue(packet: AnyPacket, begin: Fraction, end: Fraction) -> Cue | None:
    """The text of a packet, if it is shown inside the range."""
    found = _shown(packet, begin, end)
    text = _joined(it.dialogue for it in found.lines) if found else b""
    if found is None or not text:
        return None
    first = round(found.begin / TICK)
    return Cue(first, max(round(found.end / TICK), first + 1), text)


def _shown(packet: AnyPacket, begin: Fraction, end: Fraction) -> Shown | None:
    assert packet.pts is not None
    shown = packet.pts * packet.time_base
    found: SubtitleSet | None = packet.stream.codec_context.decode2(packet)
    lines = tuple(rect for rect in found or () if isinstance(rect, AssSubtitle))
    gone = shown + _length(packet, found)
    if not lines or gone <= begin or shown >= end:
        return None
    return Shown(max(Fraction(0), shown - begin), min(gone, end) - begin, lines)


def _length(packet: AnyPacket, found: SubtitleSet | None) -> Fraction:
    if packet.duration:
        return Fraction(packet.duration * packet.time_base)
    return Fraction(found.end_display_time if found else 0, 1000)


def _joined(lines: Iterable[bytes]) -> bytes:
    return rb"\N".join(line for line in lines if line)


def _track(stream: SubtitleStream, cues: list[Cue]) -> Subtitles:
    context = _opened(stream)
    tags = {
        name: stream.metadata[name] for name in ("language", "title") if stream.metadata.get(name)
    }
    default = bool(stream.disposition & Disposition.default)
    cues.sort(key=lambda cue: (cue.begin, cue.end))
    return Subtitles(cues, context.subtitle_header, tags, default, context.codec.canonical_name)


def _opened(stream: SubtitleStream) -> Any:
    """The track's decoder; of a track without a text in the range it was never used."""
    stream.codec_context.open(strict=False)
    return stream.codec_context


def one_at_a_time(cues: list[Cue]) -> list[Cue]:
    """The same texts for a container that shows one at a time: those of a moment are joined."""
    moments = sorted({moment for cue in cues for moment in (cue.begin, cue.end)})
    joined, waiting, active = [], iter(cues), list[Cue]()
    following = next(waiting, None)
    for begin, end in pairwise(moments):
        active = [cue for cue in active if cue.end > begin]
        while following is not None and following.begin <= begin:
            active.append(following)
            following = next(waiting, None)
        if active:
            joined.append(Cue(begin, end, _joined(cue.text for cue in active[:MOST_AT_ONCE])))
    return joined


def encoded(context: Any, cue: Cue) -> AnyPacket:
    """The packet of one text; `context` is an open encoder."""
    shown = SubtitleSet.create(_HEAD + cue.text, 0, cue.end - cue.begin, pts=cue.begin)
    packet: AnyPacket = context.encode_subtitle(shown)
    packet.pts = packet.dts = cue.begin
    packet.duration = cue.end - cue.begin
    packet.time_base = TICK
    return packet
