"""Reading a range of a source: its streams, one pass over their packets, decoded pictures."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av import VideoFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import InvalidDataError
from av.packet import Packet
from av.video.stream import VideoStream

from worker.pyav.bitstream.hdr import BrightnessNotes
from worker.pyav.compare.record import Record
from worker.pyav.packets import AnyPacket, AudioPacket, VideoPacket, packets_of
from worker.pyav.sound import Sound
from worker.pyav.window import Window

# How far a track may lie behind the pictures; some recorders write pieces of several seconds.
# A track that ended early is waited for no longer.
INTERLEAVE_SLACK_SECONDS = 15


class PicturesMissing(Exception):
    """Decoding from this position did not deliver every picture of the range."""


def window_of(
    container: InputContainer, time_base: Fraction, start: Fraction, end: Fraction
) -> Window:
    """The range in a stream's ticks, counted from the container's start time."""
    zero = Fraction(container.start_time or 0, av.time_base)
    return Window(time_base=time_base, zero=zero, start=start, end=end)


def sounding_packets(
    container: InputContainer,
    video: VideoStream | None,
    sounds: dict[AudioStream, Sound],
    past: Fraction,
) -> Iterator[VideoPacket]:
    """Feed the sounds and yield the video's packets, until nothing more can belong to the clip.

    Begins at the container's position; `past` is the source's time at which the range ends.
    The caller stops reading when it has its pictures and `all_done(sounds)`.
    """
    streams: list[Any] = [*([video] if video else []), *sounds]
    last = past + INTERLEAVE_SLACK_SECONDS
    limits = {stream.index: int(last / stream.time_base) for stream in streams}
    by_index = {stream.index: sound for stream, sound in sounds.items()}
    for packet in packets_of(container, streams):
        now = packet.pts if packet.dts is None else packet.dts
        if now is not None and now > limits[packet.stream_index]:
            return
        sound = by_index.get(packet.stream_index)
        if sound is None:
            yield cast("VideoPacket", packet)
        else:
            sound.feed(cast("AudioPacket", packet))


def all_done(sounds: Iterable[Sound]) -> bool:
    """Whether no track needs another packet."""
    return all(sound.done for sound in sounds)


class PictureSource:
    """Decodes one run of packets and keeps the pictures that are wanted."""

    def __init__(
        self,
        stream: VideoStream,
        wanted: tuple[int, ...],
        notes: BrightnessNotes,
        *,
        skips_unreferenced: bool,
    ) -> None:
        self._notes = notes
        self._context = stream.codec_context
        self._depth = self._context.reorder_depth
        self._wanted = set(wanted)
        self._first = wanted[0] if wanted else 0
        self._skips_unreferenced = skips_unreferenced
        self._skipping = False

    @property
    def complete(self) -> bool:
        """Whether every wanted picture was decoded."""
        return not self._wanted

    def feed(self, packet: VideoPacket) -> list[VideoFrame]:
        """The wanted pictures that come out after one more packet."""
        if self._skips_unreferenced:
            self._skip(packet.pts is not None and packet.pts < self._first)
        return self._kept(self._context.decode(packet))

    def finish(self) -> list[VideoFrame]:
        """The last pictures. Raises PicturesMissing when some were not decoded."""
        last = self._kept(self._context.decode(None))
        self._context.flush_buffers()
        self._context.reorder_depth = self._depth  # flushing forgets it, and pictures get lost
        if self._wanted:
            raise PicturesMissing(f"{len(self._wanted)} pictures were not decoded")
        return last

    def _skip(self, wanted: bool) -> None:
        if wanted != self._skipping:
            self._context.skip_frame = "NONREF" if wanted else "DEFAULT"
            self._skipping = wanted

    def _kept(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        for frame in frames:
            self._notes.see(frame)
        kept = [frame for frame in frames if frame.pts in self._wanted]
        self._wanted.difference_update(frame.pts for frame in kept if frame.pts is not None)
        return kept


def decode_leniently(
    stream: VideoStream, packet: VideoPacket | None, record: Record
) -> list[VideoFrame]:
    """Decode as players do: a damaged packet is left out, and counted."""
    try:
        return stream.codec_context.decode(packet)
    except InvalidDataError:
        record.errors += 1
        return []


def packet_like(packet: AnyPacket, data: bytes) -> VideoPacket:
    """The packet with other bytes."""
    fresh = cast("VideoPacket", Packet(data))
    fresh.is_keyframe = packet.is_keyframe
    return fresh
