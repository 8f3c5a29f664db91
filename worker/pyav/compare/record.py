"""What goes into a clip, noted while it is written."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zlib import crc32

from av import AudioFrame, AudioResampler, VideoFrame
from av.packet import Packet
from av.stream import Stream
from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:  # av's class takes no parameter at run time
    AnyPacket = Packet[Any]

# Muxers write the heads of these anew, of which a short packet has little else.
REWRITTEN = frozenset({"h264", "hevc", "aac"})
MARKED_BYTES, MARKED_BYTES_OF_REWRITTEN = 256, 4
MOST_PICTURES = 24
SAMPLE_WIDTH = 320  # pictures are compared at this size: larger ones would take memory
SOUND_RATE = 8_000
SOUND_SECONDS = 0.4
LEAST_GAP_SECONDS = 0.005


_SCALER = VideoReformatter()


class Notes:
    """The packets of a stream: the time of each in seconds, and a mark by which it is known again.

    An hour of media has a quarter of a million packets, so they are kept as plain numbers.
    """

    def __init__(self) -> None:
        self.seconds: array[float] = array("d")
        self.marks: array[int] = array("I")

    def __len__(self) -> int:
        return len(self.seconds)

    def add(self, seconds: float, mark: int) -> None:
        """Note one more packet."""
        self.seconds.append(seconds)
        self.marks.append(mark)

    def in_order(self) -> Notes:
        """The same packets in the order of their times."""
        seconds, marks, ordered = self.seconds, self.marks, Notes()
        if all(before <= after for before, after in pairwise(seconds)):
            return self
        for place in sorted(range(len(self)), key=lambda place: (seconds[place], marks[place])):
            ordered.add(seconds[place], marks[place])
        return ordered


def mark_of(packet: AnyPacket, codec: str) -> int:
    """Equal for packets of one content, whatever container they are in."""
    count = MARKED_BYTES_OF_REWRITTEN if codec in REWRITTEN else MARKED_BYTES
    return crc32(bytes(packet).rstrip(b"\0")[-count:])


@dataclass
class SoundSample:
    """Some of a track's sound as its source has it: mono, from a time of the clip on."""

    begin: float
    samples: array[int] = field(default_factory=lambda: array("h"))
    is_broken: bool = False  # by a gap
    _resampler: AudioResampler | None = None
    _until: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether no more is needed."""
        return self.is_broken or len(self.samples) >= SOUND_RATE * SOUND_SECONDS

    def add_from(self, frame: AudioFrame, origin: float = 0.0) -> None:
        """Add what of the frame lies after `begin`; `origin` is the clip's zero in its time."""
        begin = (frame.time or 0.0) - origin
        end = begin + frame.samples / frame.sample_rate
        if self._until is None:
            if end <= self.begin:
                return
            self.begin = max(self.begin, begin)
        elif abs(begin - self._until) > LEAST_GAP_SECONDS:
            self.is_broken = True
        if not self._add(frame):
            return
        if self._until is None and begin < self.begin:
            del self.samples[: round((self.begin - begin) * SOUND_RATE)]
        self._until = end

    def _add(self, frame: AudioFrame) -> bool:
        if self._resampler is None:
            self._resampler = AudioResampler("s16", "mono", SOUND_RATE)
        try:
            resampled = self._resampler.resample(frame)
        except ValueError:  # the track changes its form
            self.is_broken = True
            return False
        for mono in resampled:
            self.samples.frombytes(bytes(mono.planes[0])[: 2 * mono.samples])
        return True


@dataclass
class Record:
    """Packets by stream, and pictures of the source by their place in the order of showing.

    `chosen` are the places of the pictures to keep. `untimed` are streams of which some packets
    have no time, since their source had none. `errors` counts what could not be decoded,
    `overlaps` packets of sound that were left out, since another sounds at their time.
    """

    chosen: Collection[int] = ()
    packets: dict[int, Notes] = field(default_factory=lambda: defaultdict(Notes))
    pictures: dict[int, VideoFrame] = field(default_factory=dict)
    sounds: dict[int, list[SoundSample]] = field(default_factory=lambda: defaultdict(list))
    untimed: set[int] = field(default_factory=set)
    errors: int = 0
    overlaps: int = 0

    def note(self, packet: AnyPacket, stream: Stream) -> None:
        """Note a packet at its time in the clip."""
        if packet.pts is None:
            self.untimed.add(stream.index)
            return
        seconds = float(packet.pts * packet.time_base)
        mark = mark_of(packet, stream.codec_context.codec.canonical_name)
        self.packets[stream.index].add(seconds, mark)

    def see(self, place: int, frame: VideoFrame) -> None:
        """Keep a picture of the source, if it is one of the chosen."""
        if place in self.chosen:
            self.pictures[place] = sample_of(frame)


def sample_of(frame: VideoFrame) -> VideoFrame:
    """The picture as it is compared."""
    width = min(SAMPLE_WIDTH, frame.width)
    height = max(2, frame.height * width // frame.width)
    return scaled(frame, width, height)


def scaled(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """The grey picture of that size."""
    return _SCALER.reformat(frame, width, height, format="gray", threads=1)


def evenly(count: int, most: int = MOST_PICTURES) -> frozenset[int]:
    """At most so many places out of `count`, the first and the last among them."""
    if count <= most:
        return frozenset(range(count))
    return frozenset(round(n * (count - 1) / (most - 1)) for n in range(most))
