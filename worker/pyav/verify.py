"""The check of a finished clip: it holds what was put into it, and that is what the source has."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from operator import sub
from typing import NamedTuple

import av
from av import VideoFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import InvalidDataError

from tasks.media import VideoFacts
from worker.pyav.compare.pictures import Run, compared, decoded_runs
from worker.pyav.compare.record import Notes, Record, SoundSample, mark_of, sample_of
from worker.pyav.compare.sounds import LEAST_LIKENESS, shift_of
from worker.pyav.opening import open_source
from worker.pyav.probe import facts_of_file, main_video

SOUND_TOLERANCE = Fraction(1, 20)
TOLERANCE = Fraction(1, 500)  # containers that count milliseconds
MOST_SHIFT_MS = 15  # of sound against pictures; players allow more
SURE_LIKENESS = 0.8
PICTURES_OF_A_PIECE = 4
LONGEST_RUN = 250


class Fault(Exception):
    """Why the clip must not be published."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the clip must hold; times in seconds of the clip. `due` are the pictures that the source
    has in the range, `frames` those that could be written.

    `runs` are the packets to decode, `copied` the positions of those that are the source's own.
    `source_video` has the rotation, the shape of pixels and the colours that pictures must have.
    """

    frames: int
    due: int
    first: Fraction
    last: Fraction
    sound_until: tuple[Fraction, ...]  # until when each track was written
    runs: tuple[Run, ...] = ()
    copied: range = range(0)
    source_video: VideoFacts | None = None
    times_are_kept: bool = True  # MP3 has none


class Verified(NamedTuple):
    """What was compared, and what the source could not deliver."""

    frames_compared: int
    worst_psnr: float | None
    audio_offset_ms: float | None
    source_errors: int
    overlaps: int
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class _Found:
    """The packets of each stream, in the order of decoding."""

    video: int | None
    begins_with_key: bool
    keys: list[int]
    packets: dict[int, Notes]
    sound_ends: dict[int, Fraction]
    base: Fraction  # of the pictures' times


def verify(path: str, record: Record, expected: Expected) -> Verified:
    """Read the file at `path` anew. Raises Fault."""
    facts = facts_of_file(path)
    with open_source(path) as container:
        found = _read(container)
    _check_packets(found, record, expected)
    offset = _check_times(found, record, expected)
    if expected.source_video is not None and facts.video is not None:
        _check_appearance(facts.video, expected.source_video)
    ratios, errors = _check_pictures(path, found, record, expected)
    heard = _check_sounds(path, record, counts_from_start=not expected.times_are_kept)
    return Verified(
        frames_compared=len(ratios) + sum(_is_copied(run, expected) for run in expected.runs),
        worst_psnr=min(ratios.values(), default=None),
        audio_offset_ms=heard if heard is not None else offset,
        source_errors=record.errors + errors,
        overlaps=record.overlaps,
        facts=facts.to_dict(),
    )


def _read(container: InputContainer) -> _Found:
    video = main_video(container)
    kept = {it.index for it in (*container.streams.video, *container.streams.audio)}
    packets = {index: Notes() for index in kept}
    ends = {stream.index: Fraction(-1) for stream in container.streams.audio}
    codecs = {
        it.index: it.codec_context.codec.canonical_name
        for it in container.streams
        if it.index in kept
    }
    keys: list[int] = []
    for packet in container.demux():
        if packet.pts is None or not packet.size or packet.stream_index not in kept:
            continue
        of_stream = packets[packet.stream_index]
        if video is not None and packet.stream_index == video.index and packet.is_keyframe:
            keys.append(len(of_stream))
        if packet.stream_index in ends:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            ends[packet.stream_index] = Fraction(end)
        mark = mark_of(packet, codecs[packet.stream_index])
        of_stream.add(float(packet.pts * packet.time_base), mark)
    index = None if video is None else video.index
    base = video.time_base if video is not None and video.time_base else Fraction(1)
    return _Found(index, keys[:1] == [0], keys, packets, ends, base)


def _check_packets(found: _Found, record: Record, expected: Expected) -> None:
    """Whether each stream has the packets that were written, each with its content."""
    if found.video is None and expected.frames:
        raise Fault("the video is missing")
    for index, written in record.packets.items():
        read = found.packets.get(index)
        if read is None:
            raise Fault("a track is missing")
        if index in record.untimed:
            continue
        if len(read) != len(written):
            what = "frames" if index == found.video else "packets of sound"
            raise Fault(f"{len(read)} {what} were written instead of {len(written)}")
        if sum(read.marks) != sum(written.marks):  # in whatever order
            raise Fault("packets are not those that were written")
    count = len(found.packets[found.video]) if found.video is not None else 0
    if count != expected.frames:
        raise Fault(f"{count} frames were written instead of {expected.frames}")
    if found.video is not None and not found.begins_with_key:
        raise Fault("it does not begin with a keyframe")


def _check_times(found: _Found, record: Record, expected: Expected) -> float | None:
    """Whether packets are at their times; by how many ms the sound is off against the pictures.

    A container may move all of a clip by a few milliseconds, never one track alone.
    """
    if not expected.times_are_kept:
        return None
    shifts = {}
    for index, written in record.packets.items():
        if index in record.untimed:
            continue
        shifts[index] = _shift_of(found.packets[index].in_order(), written.in_order())
    _check_edges(found, expected, shifts)
    sounds = [shift for index, shift in shifts.items() if index != found.video]
    if found.video is None or not sounds:
        return None
    offset = max((shift - shifts[found.video] for shift in sounds), key=abs) * 1000
    if abs(offset) > MOST_SHIFT_MS:
        raise Fault(f"the sound is {offset:.0f} ms off")
    return round(offset, 3)


def _shift_of(read: Notes, written: Notes) -> float:
    """By how many seconds all packets of a track are later than they were written."""
    if any(before == after for before, after in pairwise(read.seconds)):
        raise Fault("packets of a track share a time")
    if read.marks != written.marks:
        raise Fault("packets are in another order than they were written")
    moved = array("d", map(sub, read.seconds, written.seconds))
    shift = sum(moved) / len(moved) if moved else 0.0
    if moved and max(max(moved) - shift, shift - min(moved)) > TOLERANCE:
        raise Fault("packets are not at their times")
    return shift


def _check_edges(found: _Found, expected: Expected, shifts: dict[int, float]) -> None:
    if found.video is not None:
        times = found.packets[found.video].seconds
        moved = shifts[found.video]
        if abs(min(times) - moved - expected.first) > TOLERANCE:
            raise Fault("the first frame is at the wrong time")
        if abs(max(times) - moved - expected.last) > TOLERANCE:
            raise Fault("the last frame is at the wrong time")
    written = [until for until in expected.sound_until if until > 0]
    ends = [end for end in found.sound_ends.values() if end > 0]  # a silent range has no end
    if len(ends) < len(written):
        raise Fault("a sound track is empty")
    if any(end < until - SOUND_TOLERANCE for end, until in zip(ends, written, strict=False)):
        raise Fault("the sound ends too early")


def _check_appearance(found: VideoFacts, wanted: VideoFacts) -> None:
    """Whether a player turns, stretches and colours the pictures as it does the source's."""
    if found.rotation != wanted.rotation:
        raise Fault(f"the picture is turned by {found.rotation} instead of {wanted.rotation}")
    if _ratio(found.sample_aspect_ratio) != _ratio(wanted.sample_aspect_ratio):
        raise Fault("the pixels have another shape")
    for name in ("primaries", "transfer", "matrix", "range"):
        own, due = getattr(found.colour, name), getattr(wanted.colour, name)
        if due is not None and own not in (due, None if name == "range" else due):
            raise Fault(f"the colour's {name} is {own} instead of {due}")


def _ratio(text: str) -> Fraction:
    width, _, height = text.partition(":")
    return Fraction(int(width), int(height)) if int(width) and int(height) else Fraction(1)


def _is_copied(run: Run, expected: Expected) -> bool:
    return run[0] in expected.copied


def _check_pictures(
    path: str, found: _Found, record: Record, expected: Expected
) -> tuple[dict[int, float], int]:
    """PSNR of the pictures that were compared, and how many copied ones are damaged."""
    if found.video is None:
        return {}, 0
    times = found.packets[found.video].in_order().seconds
    places = {times[place]: place for place in record.pictures if place < len(times)}
    damaged = 0
    samples: dict[int, VideoFrame] = {}

    def see(frame: VideoFrame) -> None:
        place = None if frame.pts is None else places.get(float(frame.pts * found.base))
        if place is not None:
            samples[place] = sample_of(frame)

    for run, is_whole in _decoded(path, _fitting(expected.runs, found), see):
        if not is_whole and not _is_copied(run, expected):
            raise Fault("it does not decode at a joint")
        damaged += not is_whole
    ratios, other = compared(record.pictures, samples)
    if other is not None:
        raise Fault(f"picture {other} is not that of the source ({ratios[other]:.1f} dB)")
    if damaged:
        damaged = _count_damaged(path, expected)
    return ratios, damaged


def _fitting(runs: tuple[Run, ...], found: _Found) -> list[Run]:
    """The runs, each from a key packet on: a whole encode has its keys where the encoder put them.

    Of a long clip the first, the middle and the last of such groups are decoded.
    """
    count = len(found.packets[found.video]) if found.video is not None else 0
    if runs != ((0, count),):
        return list(runs)
    bounds = [*found.keys, count]
    groups = [(begin, min(end, begin + LONGEST_RUN)) for begin, end in pairwise(bounds)]
    return sorted({groups[0], groups[len(groups) // 2], groups[-1]})


def _decoded(
    path: str, runs: list[Run], see: Callable[[VideoFrame], None]
) -> Iterator[tuple[Run, bool]]:
    with open_source(path) as container:
        video = main_video(container)
        if video is not None:
            yield from decoded_runs(container, video, runs, see)


def _count_damaged(path: str, expected: Expected) -> int:
    """How many of the copied packets a decoder complains about."""
    damaged = 0
    with open_source(path) as container:
        video = main_video(container)
        assert video is not None
        video.codec_context.options = {"err_detect": "explode"}
        for position, packet in enumerate(it for it in container.demux(video) if it.size):
            if position in expected.copied:
                try:
                    video.codec_context.decode(packet)
                except InvalidDataError:
                    damaged += 1
    return damaged


def _check_sounds(path: str, record: Record, *, counts_from_start: bool) -> float | None:
    """By how many milliseconds encoded sound is off, where that can be told."""
    worst: float | None = None
    for index, samples in record.sounds.items():
        if not record.packets.get(index):
            continue  # the range has none of it
        with open_source(path) as container:
            stream = next((it for it in container.streams.audio if it.index == index), None)
            if stream is None:
                raise Fault("a sound track is missing")
            whole = [it for it in samples if it.is_full and not it.is_broken]
            zero = (container.start_time or 0) / av.time_base if counts_from_start else 0.0
            heard = _heard(container, stream, whole, zero)
        for sample, own in heard:
            compared = shift_of(sample.samples, own.samples)
            if compared is None:
                continue
            shift, likeness = compared
            if likeness > SURE_LIKENESS and abs(shift) > MOST_SHIFT_MS:
                raise Fault(f"the sound is {shift} ms off")
            if likeness < LEAST_LIKENESS:
                raise Fault("the sound is not that of the source")
            worst = shift if worst is None else max(worst, shift, key=abs)
    return worst


def _heard(
    container: InputContainer, stream: AudioStream, samples: list[SoundSample], zero: float
) -> list[tuple[SoundSample, SoundSample]]:
    """The clip's own sound at the time of each sample."""
    pairs = [(it, SoundSample(it.begin)) for it in samples]
    for frame in container.decode(stream):
        if frame.time is None:
            continue
        for wanted, own in pairs:
            if len(own.samples) < len(wanted.samples):
                own.add_from(frame, zero)
        if all(len(own.samples) >= len(wanted.samples) for wanted, own in pairs):
            break
    return pairs
