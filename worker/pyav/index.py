"""Where pictures and joints lie around a range, found by seeking, without decoding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from worker.pyav.packets import VideoPacket, packets_of
from worker.pyav.window import Window

# How far before the start to seek, one after the other, until decoding can begin there.
# The first is not 0: audio for the first frame may lie before the keyframe in the file.
BACK_SECONDS = (0.5, 3.0, 12.0, 60.0)
ENOUGH_BACK_SECONDS = 12.0  # two keys within this time are enough where there is no entry
# A seek by time to the beginning of these misses their first packet once their end was read.
BYTE_STREAMS = frozenset({"mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc"})
REORDERED_PACKETS = 40  # a picture follows packets of later pictures by at most 16, fields twice


class PacketRecord(NamedTuple):
    """One video packet: when it is shown, whether it is a key packet, whether copying may begin.

    `duration` is what the container says, 0 where it says nothing.
    """

    pts: int
    key: bool
    entry: bool
    duration: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """Packets around a range in decode order, and the reason why they cannot be copied, if any.

    `back_seconds` is how far before the start reading begins; None: with the file.
    """

    records: list[PacketRecord]
    back_seconds: float | None
    trouble: str | None
    ended: bool  # the file ended before the range did

    def wanted(self, window: Window) -> list[int]:
        """The pts inside the range, in the order of showing."""
        first, past = window.first, window.past
        return sorted(record.pts for record in self.records if first <= record.pts < past)

    def last_before(self, pts: int) -> int | None:
        """The picture that is shown until this pts, if it is known."""
        return max((record.pts for record in self.records if record.pts < pts), default=None)

    def shown_until(self, pts: int) -> int:
        """When the next picture replaces this one; the last picture lasts as the container says,
        or as long as the one before it."""
        later = min((record.pts for record in self.records if record.pts > pts), default=None)
        if later is not None:
            return later
        own = next(record.duration for record in self.records if record.pts == pts)
        before = self.last_before(pts)
        return pts + (own or (1 if before is None else pts - before))


@dataclass(frozen=True, slots=True)
class Joints:
    """How to read one codec's packets.

    `closed`: what follows an entry in the file is never shown before it.
    """

    is_entry: Callable[[VideoPacket], bool]
    trouble: Callable[[VideoPacket], str | None]
    closed: bool = True


def read_index(
    container: InputContainer,
    stream: VideoStream,
    window: Window,
    joints: Joints,
    at_least_back: float = 0.0,
) -> Index:
    """The index of the range, from a position at or before its start where decoding can begin."""
    steps = [back for back in BACK_SECONDS if back >= at_least_back]
    best, lowest = steps[0], None
    for back in steps:
        places = _first_places(container, stream, window, back, joints)
        if places.entry_before or (places.keys_before > 1 and back >= ENOUGH_BACK_SECONDS):
            best = back
            break
        if places.lowest_key is not None and (lowest is None or places.lowest_key < lowest):
            best, lowest = back, places.lowest_key
    seek_before(container, stream, window, best)
    return _scan(container, stream, window, joints, best)


def seek_before(
    container: InputContainer, stream: VideoStream, window: Window, back_seconds: float | None
) -> None:
    """Go to the packet from which the range is read, `back_seconds` before its start.

    None: stay, in a container that was just opened.
    """
    if back_seconds is None:
        return
    target = window.start - round(back_seconds * 1000) / Fraction(1000)
    if target <= 0 and not BYTE_STREAMS.isdisjoint(container.format.name.split(",")):
        container.seek(0, unsupported_byte_offset=True)
        return
    ticks = round((target + window.zero) / window.time_base)
    try:
        container.seek(int(ticks), stream=stream)
    except (PermissionError, av.FFmpegError):
        _rewind(container, stream)


def _rewind(container: InputContainer, stream: VideoStream) -> None:
    """Go to the first packet: AVI refuses targets before it."""
    try:
        container.seek((container.start_time or 0) - 10 * av.time_base)
    except (PermissionError, av.FFmpegError):
        first = stream.start_time or 0
        container.seek(first, stream=stream)


class _Places(NamedTuple):
    entry_before: bool  # an entry shows at or before the start
    keys_before: int
    lowest_key: int | None


def _first_places(
    container: InputContainer, stream: VideoStream, window: Window, back: float, joints: Joints
) -> _Places:
    """The entries and key packets between a seek and the start of the range."""
    seek_before(container, stream, window, back)
    keys: list[int] = []
    for packet in video_packets(container, stream):
        if packet.is_keyframe and packet.pts is not None:
            keys.append(packet.pts)
            if packet.pts <= window.first and joints.is_entry(packet):
                return _Places(True, 1, packet.pts)
        now = packet.pts if packet.dts is None else packet.dts
        if now is not None and now > window.first and keys:
            break
    before = sum(pts <= window.first for pts in keys)
    return _Places(False, before, min(keys, default=None))


def video_packets(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """The stream's packets from here on, without the empty last one."""
    return cast("Iterator[VideoPacket]", packets_of(container, [stream]))


def _scan(
    container: InputContainer,
    stream: VideoStream,
    window: Window,
    joints: Joints,
    back: float,
) -> Index:
    records: list[PacketRecord] = []
    seen: set[int] = set()
    trouble: str | None = None
    has_key = False  # perhaps one that is not shown itself
    past, later = window.past, 0
    for packet in video_packets(container, stream):
        pts = packet.pts
        if trouble is not None and packet.is_keyframe and not has_key:
            records, seen, trouble = [], set(), None  # what lies before the first key is no picture
        has_key = has_key or packet.is_keyframe
        if pts is None or pts in seen or packet.is_discard:
            trouble = trouble or "its packets have no distinct timestamps"
            if pts is None or packet.is_discard:  # an edit list shows nothing of it
                continue
        entry = packet.is_keyframe and joints.is_entry(packet)
        trouble = trouble or joints.trouble(packet)
        records.append(PacketRecord(pts, packet.is_keyframe, entry, packet.duration or 0))
        seen.add(pts)
        if pts >= past:
            later += 1
            if (entry and joints.closed) or later > REORDERED_PACKETS:
                return Index(records, back, trouble, ended=False)
    return Index(records, back, trouble, ended=not later)
