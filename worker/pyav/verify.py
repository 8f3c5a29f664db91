"""Checking a clip before it is published: the file holds what was planned."""

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from worker.pyav.opening import open_source
from worker.pyav.packets import VideoPacket

PICTURES_AT_A_JOINT = 3
SOUND_TOLERANCE = Fraction(1, 20)
TOLERANCE = Fraction(1, 500)  # containers that count milliseconds


@dataclass(frozen=True, slots=True)
class Expected:
    """What the clip must hold; times in seconds of the clip."""

    frames: int
    first: Fraction
    last: Fraction
    sound_until: tuple[Fraction, ...]  # until when each track was written
    joints: tuple[int, ...]  # positions of packets where a piece begins


def fault_of(path: str, expected: Expected) -> str | None:
    """Why the clip must not be published; None when it is right."""
    with open_source(path) as container:
        written = tuple(until for until in expected.sound_until if until > 0)
        if len(container.streams.audio) < len(written):
            return "a sound track is missing"
        if not container.streams.video:
            return None if expected.frames == 0 else "the video is missing"
        found = _read(container, expected.joints)
        return (
            _fault_of_times(found, expected)
            or _fault_of_sound(found, written)
            or _fault_at_joints(container.streams.video[0], found.joints)
        )


@dataclass(frozen=True, slots=True)
class _Found:
    base: Fraction
    times: list[int]
    begins_with_key: bool
    sound_ends: dict[int, Fraction]  # by stream
    joints: list[list[VideoPacket]]


def _read(container: InputContainer, joints: tuple[int, ...]) -> _Found:
    """Read all that the checks need, in one pass that keeps no more than a few packets."""
    times: list[int] = []
    keys: list[bool] = []
    ends = {stream.index: -1 for stream in container.streams.audio}
    samples: list[list[VideoPacket]] = [[] for _ in joints]
    video = container.streams.video[0]
    for packet in container.demux():
        if packet.pts is None or not packet.size:
            continue
        if packet.stream_index == video.index:
            for joint, sample in zip(joints, samples, strict=True):
                if joint <= len(times) < joint + PICTURES_AT_A_JOINT:
                    sample.append(cast("VideoPacket", packet))
            times.append(packet.pts)
            keys.append(packet.is_keyframe)
        elif packet.stream_index in ends:
            ends[packet.stream_index] = packet.pts + (packet.duration or 0)
    assert video.time_base is not None
    bases = {stream.index: stream.time_base or Fraction(1) for stream in container.streams}
    sound_ends = {index: end * bases[index] for index, end in ends.items()}
    return _Found(video.time_base, times, bool(keys) and keys[0], sound_ends, samples)


def _fault_of_times(found: _Found, expected: Expected) -> str | None:
    count = len(found.times)
    if count != expected.frames:
        return f"{count} frames were written instead of {expected.frames}"
    if len(set(found.times)) != count:
        return "frames share a timestamp"
    if not found.begins_with_key:
        return "it does not begin with a keyframe"
    if abs(min(found.times) * found.base - expected.first) > TOLERANCE:
        return "the first frame is at the wrong time"
    if abs(max(found.times) * found.base - expected.last) > TOLERANCE:
        return "the last frame is at the wrong time"
    return None


def _fault_of_sound(found: _Found, written: tuple[Fraction, ...]) -> str | None:
    ends = [end for end in found.sound_ends.values() if end > 0]  # a silent range has no end
    if len(ends) < len(written):
        return "a sound track is empty"
    pairs = zip(ends, written, strict=False)
    if any(end < until - SOUND_TOLERANCE for end, until in pairs):
        return "the sound ends too early"
    return None


def _fault_at_joints(video: VideoStream, samples: list[list[VideoPacket]]) -> str | None:
    """Decode the first pictures of each piece, one piece after the other in one decoder.

    Each piece begins with a keyframe that refers to nothing before it, so this decodes what a
    player decodes at the joints, at the cost of a few pictures.
    """
    context = video.codec_context
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    try:
        frames = [frame for sample in samples for p in sample for frame in context.decode(p)]
        frames += context.decode(None)
    except av.FFmpegError:
        return "it does not decode at a joint"
    if any(frame.is_corrupt for frame in frames) or len(frames) < len(samples):
        return "frames at a joint are damaged"
    return None
