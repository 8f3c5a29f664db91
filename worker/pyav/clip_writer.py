"""The clip's file: streams, packets moved to the clip's own time, the container's options."""

from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from worker.clip.containers import CONTAINERS
from worker.pyav.packets import AnyPacket


def _name(stream: Stream, source: Stream) -> None:
    """Language, title and whether it is the one to play, as in the source."""
    for name in ("language", "title"):
        if source.metadata.get(name):
            stream.metadata[name] = source.metadata[name]
    stream.disposition = source.disposition & Disposition.default


class ClipWriter:
    """Writes one clip; `origin` is the moment of the source that becomes the clip's zero.

    `begins_late`: the first picture comes after zero.

    A context manager. Packets that are written before `start` wait, because the streams' headers
    may depend on the first decoded picture.
    """

    def __init__(
        self, path: str, container: str, origin: Fraction, *, begins_late: bool = False
    ) -> None:
        flags = "faststart"
        if begins_late:
            # Otherwise the edit that delays the first picture begins before its keyframe, and
            # players miss it. Not used without need: FFmpeg misreads the last two offsets.
            flags += "+negative_cts_offsets"
        row = CONTAINERS[container]
        options = {"movflags": flags} if row.hides_lead_in else {}
        self._file = av.open(f"file:{path}", "w", format=row.muxer, container_options=options)
        self._origin = origin
        self._started = False
        self._waiting: list[AnyPacket] = []
        self.hides_lead_in = row.hides_lead_in

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def copy_stream(
        self, source: Stream, extradata: bytes | None = None, tag: str | None = None
    ) -> Stream:
        """A stream that takes the source's packets; `extradata` replaces its own, and `tag` the
        name an MP4 gives the codec."""
        stream = self._file.add_stream_from_template(source, opaque=True)
        if tag is not None and self.hides_lead_in:
            stream.codec_context.codec_tag = tag
        if extradata is not None:
            stream.codec_context.extradata = extradata
        _name(stream, source)
        return stream

    def encoded_video(self, codec: str) -> VideoStream:
        """A stream with its own encoder, to be configured before `start`."""
        stream = self._file.add_stream(codec)
        assert isinstance(stream, VideoStream)
        return stream

    def encoded_audio(
        self, codec: str, rate: int, layout: str, bit_rate: int, source: Stream
    ) -> AudioStream:
        """A stream with its own encoder."""
        stream = self._file.add_stream(codec, rate=rate, layout=layout, bit_rate=bit_rate)
        assert isinstance(stream, AudioStream)
        _name(stream, source)
        return stream

    def start(self) -> None:
        """Write the header; every stream has been added."""
        self._file.start_encoding()
        self._started = True
        for packet in self._waiting:
            self._file.mux_one(packet)
        self._waiting.clear()

    def origin_ticks(self, time_base: Fraction) -> int:
        """The clip's zero in a source stream's ticks."""
        return round(self._origin / time_base)

    def write(self, packet: AnyPacket, stream: Stream) -> None:
        """Add a packet whose times are already the clip's."""
        packet.stream = stream
        if self._started:
            self._file.mux_one(packet)
        else:
            self._waiting.append(packet)
