"""The smart cut: encode the pictures at the edges, copy everything between."""

from dataclasses import dataclass
from itertools import pairwise

from av import VideoCodecContext, VideoFrame
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from worker.pyav.bitstream.hdr import BrightnessNotes
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.encoders import encode, picture_of
from worker.pyav.index import seek_before
from worker.pyav.joining import CannotJoin, Joining
from worker.pyav.open_range import Source
from worker.pyav.packets import VideoPacket
from worker.pyav.protocol import ProgressReporter
from worker.pyav.reading import PictureSource, all_done, packet_like, sounding_packets
from worker.pyav.request import CutRequest
from worker.pyav.smart_plan import SmartPlan
from worker.pyav.sound import Sound


@dataclass(frozen=True, slots=True)
class Timing:
    """When each packet of the clip is decoded and shown, in ticks of the clip, by source pts."""

    pts: dict[int, int]
    dts: dict[int, int]
    durations: dict[int, int]
    places: dict[int, int]  # in the order of showing, from 0

    @property
    def end(self) -> int:
        """When the last picture ends."""
        last = max(self.pts)
        return self.pts[last] + self.durations[last]


def timing_of(plan: SmartPlan, source: Source) -> Timing:
    """Decode times that rise and never pass the time of showing.

    The source's own times are not used: some containers have none, and those of the pieces would
    not fit together.
    """
    own = sorted(plan.order)
    pts = {it: source.placed(it) for it in own}
    early = {after: pts[now] for now, after in zip(own, plan.order, strict=True)}
    shift = max(early[it] - pts[it] for it in own)
    dts = {it: early[it] - shift for it in own}
    durations = {now: max(1, pts[after] - pts[now]) for now, after in pairwise(own)}
    places = {it: place for place, it in enumerate(own)}
    return Timing(pts, dts, durations | {own[-1]: source.last_length}, places)


class SmartCut:
    """One smart cut in progress: takes the source's packets, writes the clip's."""

    def __init__(
        self,
        stream: VideoStream,
        joining: Joining,
        plan: SmartPlan,
        timing: Timing,
        writer: ClipWriter,
        request: CutRequest,
    ) -> None:
        self._stream, self._joining, self._plan = stream, joining, plan
        self._timing, self._writer, self._request = timing, writer, request
        assert stream.time_base is not None
        self._time_base = stream.time_base
        context = stream.codec_context
        self._form = (context.width, context.height, context.pix_fmt)
        self._copied = set(plan.copied)
        self._left_to_copy = len(self._copied)
        self._notes = BrightnessNotes()
        skips = joining.skips_unreferenced
        self._head = PictureSource(stream, plan.head, self._notes, skips_unreferenced=skips)
        self._tail = PictureSource(stream, plan.tail, self._notes, skips_unreferenced=skips)
        self._encoder: VideoCodecContext | None = None
        # The header is written before the first picture is decoded, and needs the encoder's sets.
        sample = self._open_encoder([]).extradata if plan.head or plan.tail else None
        self._extradata = joining.extradata(sample)
        self._out = writer.copy_stream(stream, self._extradata, joining.tag)

    @property
    def complete(self) -> bool:
        """Whether every picture is written."""
        return self._left_to_copy == 0 and self._tail.complete

    def feed(self, position: int, packet: VideoPacket) -> None:
        """Use the packet at this position of the index."""
        plan = self._plan
        if plan.head and plan.head_from <= position < plan.copy_from:
            self._write_encoded(self._head.feed(packet))
        if plan.head and position == plan.copy_from:
            self._write_encoded(self._head.finish())
            self._end_encoder()
        if position >= plan.tail_from and not self._tail.complete:
            self._write_encoded(self._tail.feed(packet))
        if position >= plan.copy_from and packet.pts in self._copied:
            self._copy(packet)

    def finish(self) -> None:
        """Write what is left of the tail."""
        if self._plan.tail:
            self._write_encoded(self._tail.finish())
            self._end_encoder()
        if self._left_to_copy:
            raise CannotJoin("its packets differ from one reading to the next")

    def _open_encoder(self, messages: list[str]) -> VideoCodecContext:
        request, picture = self._request, picture_of(self._stream, self._time_base)
        quality = request.output.quality
        return self._joining.open_piece_encoder(picture, quality, request.threads, messages)

    def _write_encoded(self, frames: list[VideoFrame]) -> None:
        for frame in frames:
            if (frame.width, frame.height, frame.format.name) != self._form:
                raise CannotJoin("its picture size changes in the range")
            if self._encoder is None:
                self._encoder = self._open_encoder(self._notes.messages)
                if self._joining.extradata(self._encoder.extradata) != self._extradata:
                    raise CannotJoin("its two edges need different parameter sets")
            assert frame.pts is not None
            self._writer.record.see(self._timing.places[frame.pts], frame)
            self._write_packets(frame)

    def _end_encoder(self) -> None:
        """Flush and drop the encoder; the tail gets one of its own, beginning with a keyframe."""
        if self._encoder is not None:
            self._write_packets(None)
            self._encoder = None

    def _write_packets(self, frame: VideoFrame | None) -> None:
        assert self._encoder is not None
        for packet in encode(self._encoder, frame):
            fresh = packet
            if self._joining.encoded is not None:
                fresh = packet_like(packet, self._joining.encoded(bytes(packet)))
            assert packet.pts is not None
            self._write(fresh, packet.pts)

    def _copy(self, packet: VideoPacket) -> None:
        assert packet.pts is not None
        self._left_to_copy -= 1
        fresh = packet
        if self._joining.copied is not None:
            fresh = packet_like(packet, self._joining.copied(bytes(packet)))
        self._write(fresh, packet.pts)

    def _write(self, packet: VideoPacket, pts: int) -> None:
        timing = self._timing
        packet.time_base = self._time_base
        packet.pts, packet.dts = timing.pts[pts], timing.dts[pts]
        packet.duration = timing.durations[pts]
        self._writer.write(packet, self._out)


def run_smart_cut(
    source: Source, cut: SmartCut, sounds: dict[AudioStream, Sound], progress: ProgressReporter
) -> None:
    """Read the range once and write the clip's packets."""
    index, window = source.index, source.window
    positions = {record.pts: position for position, record in enumerate(index.records)}
    seconds_a_tick, start = float(window.time_base), window.start_ticks
    past = window.zero + window.end
    seek_before(source.container, source.video, window, index.back_seconds)
    for packet in sounding_packets(source.container, source.video, sounds, past):
        position = positions.get(packet.pts) if packet.pts is not None else None
        if position is not None:
            progress.at((index.records[position].pts - start) * seconds_a_tick)
            cut.feed(position, packet)
        if cut.complete and all_done(sounds.values()):
            break
    cut.finish()
    for sound in sounds.values():
        sound.finish()
