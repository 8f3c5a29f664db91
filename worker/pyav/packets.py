"""Packets of some streams, and names for their types."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

if TYPE_CHECKING:  # av's class takes no parameter at run time
    VideoPacket = Packet[VideoStream]
    AudioPacket = Packet[AudioStream]
    AnyPacket = Packet[Any]
else:
    VideoPacket = AudioPacket = AnyPacket = Packet


def packets_of(container: InputContainer, streams: Sequence[Stream]) -> Iterator[AnyPacket]:
    """The streams' packets from here to the end of the file, without the empty last ones."""
    try:
        for packet in container.demux(list(streams)):
            if packet.size:
                yield packet
    except IndexError:
        return  # PyAV ends so when more streams appeared in the file while it was read
