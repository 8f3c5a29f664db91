"""The exact full encode: decode from far enough back, encode the pictures of the range."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from av import VideoFrame
from av.audio.stream import AudioStream
from av.codec import Codec
from av.video.stream import VideoStream

from tasks.errors import CorruptMedia, NoSuchStream
from worker.clip.containers import CONTAINERS
from worker.clip.encoding import video_encoder_options
from worker.pyav.bitstream.hdr import BrightnessNotes, side_data
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.compare.record import Record
from worker.pyav.encoders import Picture, configure, encode, picture_of
from worker.pyav.index import Index, PacketRecord, seek_before
from worker.pyav.open_range import Source
from worker.pyav.packets import VideoPacket, is_counted
from worker.pyav.protocol import ProgressReporter
from worker.pyav.reading import PicturesMissing, all_done, decode_leniently, sounding_packets
from worker.pyav.request import CutRequest
from worker.pyav.shaping import Shaper
from worker.pyav.smart_plan import decode_start
from worker.pyav.sound import Sound
from worker.pyav.window import STILL_SECONDS, Window

HDR_TRANSFER_NUMBERS = frozenset({16, 18})


@dataclass(frozen=True, slots=True)
class Encoded:
    """The pictures that a full encode made, in ticks of the clip."""

    frames: int
    first: int
    last: int
    end: int


class WholeEncode:
    """One full encode in progress: takes the range's pictures in order, writes packets."""

    def __init__(self, source: Source, writer: ClipWriter, request: CutRequest) -> None:
        self._source, self._writer, self._request = source, writer, request
        self._stream = source.video
        self._time_base = source.window.time_base
        encoder = CONTAINERS[request.container].video_encoder
        assert encoder is not None
        self._codec = encoder
        self._out = writer.encoded_video(self._codec)
        self._shaper: Shaper | None = None
        self.notes = BrightnessNotes()
        self.record = writer.record
        self.pts: list[int] = []
        self._end = 0

    def add(self, frame: VideoFrame) -> None:
        """Encode one more picture."""
        assert frame.pts is not None
        if self._shaper is None:
            self._shaper = self._start(frame)
        self.record.see(len(self.pts), frame)
        begin = self._source.placed(frame.pts)
        is_last = frame.pts == self._source.wanted[-1]
        own = self._source.last_length if is_last else self._bounded(begin, frame.duration or 0)
        frame.duration = own
        frame.pts = begin
        self.pts.append(begin)
        self._end = begin + frame.duration
        # MP4 keeps lengths in the order of decoding: a still at the end has to be its last.
        still = is_last and frame.duration * self._time_base > STILL_SECONDS
        self._write(self._shaper.shaped(frame), forces_key=still)

    def _bounded(self, begin: int, own: int) -> int:
        """For how long a picture is shown, at most until the range ends."""
        past = self._source.window.end_ticks - self._source.origin_ticks
        return max(1, min(own, past - begin))

    def finish(self) -> Encoded:
        """Write the last packets. Raises CorruptMedia when there was no picture at all."""
        if not self.pts:
            raise CorruptMedia("no frame of the range can be decoded")
        self._write(None)
        return Encoded(len(self.pts), self.pts[0], self.pts[-1], self._end)

    def _write(self, frame: VideoFrame | None, *, forces_key: bool = False) -> None:
        for packet in encode(self._out.codec_context, frame, forces_key=forces_key):
            self._writer.write(packet, self._out)

    def _start(self, frame: VideoFrame) -> Shaper:
        """Set the encoder by the first decoded picture, which has more facts than the container."""
        picture = self._picture(frame, self._codec)
        configure(self._out.codec_context, picture, self._options(), self._request.threads)
        self._out.time_base = picture.time_base
        matrix = side_data(frame, "DISPLAYMATRIX")
        if matrix is not None:
            self._out.set_display_matrix(struct.unpack("=9i", matrix))
        self._writer.start()
        return Shaper(picture)

    def _options(self) -> dict[str, str]:
        request = self._request
        options = video_encoder_options(
            request.container, request.output.quality, request.memory_saving_level
        )
        if self._codec == "libx264":
            messages = ":".join([options["x264-params"], *self.notes.messages])
            return options | {"x264-params": messages, "forced-idr": "1"}
        return options | {"b": "0"}  # constant quality

    def _picture(self, frame: VideoFrame, codec: str) -> Picture:
        interlaced = frame.interlaced_frame and codec == "libx264"
        own = picture_of(self._stream, self._time_base, interlaced)
        # 4:2:0 has no odd sizes; the last row or column is left out, all others stay untouched.
        return replace(
            own,
            width=frame.width - frame.width % 2,
            height=frame.height - frame.height % 2,
            pix_fmt=self._pix_fmt(frame, codec),
        )

    def _pix_fmt(self, frame: VideoFrame, codec: str) -> str:
        """The source's own format where H.264 stays H.264 or depth is needed, else the common."""
        same_codec = self._stream.codec_context.codec.canonical_name == "h264"
        supported = {known.name for known in Codec(codec, "w").video_formats or []}
        deep = frame.format.components[0].bits > 8 and int(frame.color_trc) in HDR_TRANSFER_NUMBERS
        if same_codec and frame.format.name in supported:
            return frame.format.name
        if frame.format.name.startswith("yuvj") and "yuvj420p" in supported:
            return "yuvj420p"
        return "yuv420p10le" if deep and "yuv420p10le" in supported else "yuv420p"


def pictures_of_range(
    stream: VideoStream,
    packets: Iterator[VideoPacket],
    index: Index,
    window: Window,
    notes: BrightnessNotes,
    record: Record,
    *,
    strict: bool,
) -> Iterator[VideoFrame]:
    """Decode from a safe position and yield the range's pictures, in the order of showing.

    Raises PicturesMissing as soon as the first one turns out to be missing, if `strict`.
    """
    wanted = index.wanted(window)
    start = decode_start(index.records, wanted[0])
    skipped = {record.pts for record in index.records[:start]}
    times = _times_of_showing(stream, index.records, start)
    first, past, last = window.first, window.past, None
    for packet in chain(packets, [None]):
        if packet is not None and packet.pts in skipped and not packet.is_discard:
            continue
        for frame in decode_leniently(stream, packet, record):
            notes.see(frame)
            frame.pts = next(times, frame.pts)
            if frame.pts is None or frame.pts < first or (last is not None and frame.pts <= last):
                continue  # before the range, or the source's time jumps back
            if frame.pts >= past:
                return  # pictures come in the order of showing
            if strict and last is None and frame.pts > wanted[0]:
                raise PicturesMissing("the first pictures were not decoded")
            last = frame.pts
            yield frame


def _times_of_showing(
    stream: VideoStream, records: list[PacketRecord], start: int
) -> Iterator[int]:
    """The times of all pictures from here on, where packets do not have their own.

    Raises NoSuchStream where the decoder may leave out pictures that lean on earlier ones: nobody
    could tell which times they had.
    """
    if not is_counted(stream):
        return iter(())
    if not records[start].entry and records[start].pts > 0:
        raise NoSuchStream(
            "the source does not say when its pictures show, and has no closed groups of pictures "
            "to count them in; convert it to MP4 or Matroska first"
        )
    return iter(sorted(record.pts for record in records[start:]))


def run_whole_encode(
    source: Source,
    whole: WholeEncode,
    sounds: dict[AudioStream, Sound],
    progress: ProgressReporter,
    *,
    strict: bool,
) -> Encoded:
    """Read the range once and encode all its pictures."""
    video, index, window = source.video, source.index, source.window
    seek_before(source.container, video, window, index.back_seconds)
    packets = sounding_packets(source.container, video, sounds, window.zero + window.end)
    pictures = pictures_of_range(
        video, packets, index, window, whole.notes, whole.record, strict=strict
    )
    for frame in pictures:
        whole.add(frame)
        progress.at(float(whole.pts[-1] * window.time_base))
    for _ in packets:
        if all_done(sounds.values()):
            break
    done = whole.finish()
    for sound in sounds.values():
        sound.finish()
    return done
