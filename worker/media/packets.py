"""Names for packets of one kind of stream."""

from typing import TYPE_CHECKING, Any

from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

if TYPE_CHECKING:  # av's class takes no parameter at run time
    VideoPacket = Packet[VideoStream]
    AudioPacket = Packet[AudioStream]
    AnyPacket = Packet[Any]
else:
    VideoPacket = AudioPacket = AnyPacket = Packet
