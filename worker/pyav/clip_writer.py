"""The clip's file: streams, packets moved to the clip's own time, the container's options."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from worker.clip.containers import CONTAINERS
from worker.pyav.compare.record import Record
from worker.pyav.packets import AnyPacket

TEXT_TICK = Fraction(1, 1000)  # subtitles count milliseconds


def _name(stream: Stream, source: Stream) -> None:
    """Language, title and whether it is the one to play, as in the source."""
    for name in ("language", "title"):
        if source.metadata.get(name):
            stream.metadata[name] = source.metadata[name]
    stream.disposition = source.disposition & Disposition.default


class ClipWriter:
    """Writes one clip, and notes in `record` what it writes.

    `begins_late`: its first picture comes after its zero.

    A context manager. Packets that are written before `start` wait, because the streams' headers
    may depend on the first decoded picture.
    """

    def __init__(
        self,
        path: str,
        container: str,
        muxer: str | None = None,
        record: Record | None = None,
        *,
        begins_late: bool = False,
    ) -> None:
        flags = "faststart"
        if begins_late:
            # Otherwise the edit that delays the first picture begins before its keyframe, and
            # players miss it. Not used without need: FFmpeg misreads the last two offsets.
            flags += "+negative_cts_offsets"
        row = CONTAINERS[container]
        options = {"movflags": flags} if row.hides_lead_in else {}
        self._file = av.open(
            f"file:{path}", "w", format=muxer or row.muxer, container_options=options
        )
        self._started = False
        self.record = record or Record()
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
        if isinstance(source, VideoStream) and source.sample_aspect_ratio:
            # The container's word counts, where the pictures themselves say something else.
            stream.codec_context.sample_aspect_ratio = source.sample_aspect_ratio  # type: ignore[attr-defined]
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

    def subtitles(
        self, codec: str, header: bytes | None, tags: Mapping[str, str], *, default: bool
    ) -> Stream:
        """A stream of texts with its own encoder, open already; `header` has ASS's styles."""
        stream = self._file.add_stream(codec)
        assert isinstance(stream, SubtitleStream)
        context = stream.codec_context
        context.subtitle_header = header
        context.time_base = TEXT_TICK
        context.open(strict=False)
        for name, value in tags.items():
            stream.metadata[name] = value
        stream.disposition = Disposition.default if default else Disposition(0)
        return stream

    def set_chapters(self, chapters: list[Any]) -> None:
        """The clip's chapters, in PyAV's form."""
        self._file.set_chapters(chapters)

    def start(self) -> None:
        """Write the header; every stream has been added."""
        self._file.start_encoding()
        self._started = True
        for packet in self._waiting:
            self._file.mux_one(packet)
        self._waiting.clear()

    def write(self, packet: AnyPacket, stream: Stream) -> None:
        """Add a packet whose times are already the clip's."""
        packet.stream = stream
        if stream.type != "subtitle":
            self.record.note(packet, stream)
        if self._started:
            self._file.mux_one(packet)
        else:
            self._waiting.append(packet)
