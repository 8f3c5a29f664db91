"""The smart cut: encode the pictures at the edges, copy everything between."""

from dataclasses import dataclass

from av import VideoCodecContext, VideoFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from worker.pyav.clip_writer import ClipWriter
from worker.pyav.encoders import encode, picture_of
from worker.pyav.hdr import BrightnessNotes
from worker.pyav.index import Index, seek_before
from worker.pyav.joining import CannotJoin, Joining
from worker.pyav.packets import VideoPacket
from worker.pyav.protocol import ProgressReporter
from worker.pyav.reading import PictureSource, all_done, packet_like, sounding_packets
from worker.pyav.request import CutRequest
from worker.pyav.smart_plan import SmartPlan
from worker.pyav.sound import Sound
from worker.pyav.window import LONGEST_FRAME_SECONDS, Window


@dataclass(frozen=True, slots=True)
class Timing:
    """When each packet of the clip is decoded and shown, in ticks of the clip."""

    origin: int
    dts: dict[int, int]  # by source pts
    durations: dict[int, int]

    @property
    def end(self) -> int:
        """When the last picture ends."""
        return max(self.dts) - self.origin + self.durations[max(self.dts)]


def timing_of(plan: SmartPlan, index: Index, window: Window, origin: int) -> Timing:
    """Decode times that rise and never pass the time of showing.

    The source's own times are not used: some containers have none, and those of the pieces would
    not fit together.
    """
    shown = sorted(plan.order)
    shift = max(early - pts for early, pts in zip(shown, plan.order, strict=True))
    dts = {pts: early - shift - origin for early, pts in zip(shown, plan.order, strict=True)}
    following = [*shown[1:], _end_of_last(shown, index, window)]
    durations = {pts: max(1, after - pts) for pts, after in zip(shown, following, strict=True)}
    return Timing(origin, dts, durations)


def _end_of_last(shown: list[int], index: Index, window: Window) -> int:
    """The last frame keeps its own length, unless it is a still that outlasts the range."""
    last = shown[-1]
    later = min((r.pts for r in index.records if r.pts > last), default=None)
    if later is None:
        return last + (last - shown[-2] if len(shown) > 1 else 1)
    if (later - last) * window.time_base <= LONGEST_FRAME_SECONDS:
        return later
    return max(last + 1, window.end_ticks)


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
        packet.pts, packet.dts = pts - timing.origin, timing.dts[pts]
        packet.duration = timing.durations[pts]
        self._writer.write(packet, self._out)


def run_smart_cut(
    container: InputContainer,
    video: VideoStream,
    cut: SmartCut,
    index: Index,
    sounds: dict[AudioStream, Sound],
    window: Window,
    progress: ProgressReporter,
) -> None:
    """Read the range once and write the clip's packets."""
    positions = {record.pts: position for position, record in enumerate(index.records)}
    seconds_a_tick = float(window.time_base)
    past = window.zero + window.end
    seek_before(container, video, window, index.back_seconds)
    for packet in sounding_packets(container, video, sounds, past):
        position = positions.get(packet.pts) if packet.pts is not None else None
        if position is not None:
            progress.at((index.records[position].pts - window.first) * seconds_a_tick)
            cut.feed(position, packet)
        if cut.complete and all_done(sounds.values()):
            break
    cut.finish()
    for sound in sounds.values():
        sound.finish()
