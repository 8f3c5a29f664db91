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
    videos = [it for it in streams if isinstance(it, VideoStream)]
    late = {it.index: _lateness(it) for it in videos}
    counted = {it.index for it in videos if is_counted(it) or _is_in_order(it)}
    try:
        for packet in container.demux(list(streams)):
            if packet.size:
                if packet.stream_index in counted:
                    packet.pts = packet.dts
                elif packet.pts is not None:
                    packet.pts -= late.get(packet.stream_index, 0)
                yield packet
    except IndexError:
        return  # PyAV ends so when more streams appeared in the file while it was read


def has_true_times(stream: VideoStream) -> bool:
    """Whether packets have their time of showing: AVI has none where pictures are reordered."""
    return not (stream.container.format.name == "avi" and stream.codec_context.reorder_depth > 0)


def is_counted(stream: VideoStream) -> bool:
    """Whether a packet's place in the file is all that is known of its time.

    FFmpeg's guess is right in order for codecs whose parser knows B-frames, and wrong for these.
    The pictures are shown at the packets' times, in the order in which the decoder gives them out.
    """
    codec = stream.codec_context.codec.canonical_name
    return not has_true_times(stream) and codec in ("h264", "hevc")


def _is_in_order(stream: VideoStream) -> bool:
    """Whether pictures show when they are decoded: FFmpeg guesses a delay where AVI has none."""
    return stream.container.format.name == "avi" and stream.codec_context.reorder_depth == 0


def _lateness(stream: VideoStream) -> int:
    """Ticks by which FFmpeg's guess is late: AVI counts a tick for each picture, and the guess
    begins with the decoder's delay."""
    return 0 if has_true_times(stream) else stream.codec_context.reorder_depth
