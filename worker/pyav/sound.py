"""A clip's sound: each track in one piece, copied where the container takes it, else encoded."""

from collections import deque
from contextlib import suppress
from fractions import Fraction
from typing import Protocol

from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as NothingMore
from av.error import InvalidDataError
from av.filter import Graph

from worker.clip.containers import CONTAINERS
from worker.clip.encoding import OTHER_RATE, SOUND_ENCODERS, kept_channels, sound_bit_rate
from worker.clip.strategy import Mode
from worker.pyav.bitstream.sound_form import sound_form
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.compare.record import SoundSample
from worker.pyav.packets import AudioPacket
from worker.pyav.request import CutRequest
from worker.pyav.window import Window

# How many packets before the first one a decoder needs to decode the first one right: AAC overlaps
# with one, MP3 borrows bits from a few, Opus needs 80 ms.
LEAD_IN_PACKETS = {"aac": 1, "mp3": 3, "opus": 4, "vorbis": 1}
JITTER = Fraction(2, 1000)  # containers that count milliseconds are off by up to one
DEFAULT_PACKET_SAMPLES = 1024
LEAST_GAP_SECONDS = 0.01  # shorter gaps are rounding, longer gaps become silence


class Sound(Protocol):
    """One audio track on its way into the clip."""

    done: bool  # no later packet can belong to the clip

    @property
    def until(self) -> Fraction:
        """Seconds of the clip up to which sound has been written."""

    def feed(self, packet: AudioPacket) -> None:
        """Process the source's next packet of this track."""

    def finish(self) -> None:
        """Write the packets that are held back."""


class SoundChanges(Exception):
    """A track's packets change their form in the range, so that they cannot be copied."""


def sound_of(source: AudioStream, request: CutRequest, window: Window, writer: ClipWriter) -> Sound:
    """How one track gets into the clip; `window` begins where the clip's zero lies."""
    copies = is_copied(source, request.container) and not request.encodes_sound
    if request.mode == Mode.COPY or copies:
        return CopiedSound(source, window, writer)
    return EncodedSound(source, request, window, writer)


def is_copied(source: AudioStream, container: str) -> bool:
    """Whether the container takes the track's packets as they are."""
    return source.codec_context.codec.canonical_name in CONTAINERS[container].exact_audio


class CopiedSound:
    """Copies packets, with a lead-in that the container hides."""

    def __init__(self, source: AudioStream, window: Window, writer: ClipWriter) -> None:
        context = source.codec_context
        lead_in = LEAD_IN_PACKETS.get(context.codec.canonical_name, 0)
        base, rate = window.time_base, context.sample_rate
        start = window.zero + window.start
        self.done = False
        self._writer = writer
        self._stream = writer.copy_stream(source)
        self._before: deque[AudioPacket] = deque(maxlen=lead_in if writer.hides_lead_in else 0)
        self._origin = round(start / base)
        # Where nothing can be hidden, a packet before zero would delay all other streams.
        hides = writer.hides_lead_in
        self._earliest = None if hides else round((start - JITTER) / base)
        self._past = round((window.zero + window.end) / base)
        # The source's ticks become samples, in integers: thousands of packets pass here.
        self._scale = base * rate
        self._step = Fraction(1, rate)
        self._jitter = round(JITTER * rate)
        self._duration = round((context.frame_size or DEFAULT_PACKET_SAMPLES) / self._scale)
        # Before a gap, MP4 says that a packet lasts until the next one.
        self._longest = 2 * self._duration if context.frame_size else None
        self._codec = context.codec.canonical_name
        self._form: object = None
        # Readers leave out a track whose packets all begin before the clip: it gets one more.
        self._is_heard = False
        self._next: int | None = None  # where the next packet should begin, in samples

    @property
    def until(self) -> Fraction:
        """Seconds of the clip up to which sound has been written."""
        return Fraction(-1) if self._next is None else self._next * self._step

    def feed(self, packet: AudioPacket) -> None:
        """Copy the packet if any of it sounds inside the range."""
        begin = packet.pts
        if begin is None or self.done:
            return
        before = begin + self._length(packet) <= self._origin
        if before or (self._earliest is not None and begin < self._earliest):
            self._before.append(packet)
        elif begin >= self._past and (self._is_heard or self._next is None):
            self.done = True
        else:
            for earlier in (*self._before, packet):
                self._check_form(earlier)
                self._write(earlier)
            self._before.clear()

    def finish(self) -> None:
        """Nothing is held back."""

    def _check_form(self, packet: AudioPacket) -> None:
        form = sound_form(self._codec, bytes(packet))
        if packet.has_sidedata("new_extradata") or (self._form or form) != form:
            raise SoundChanges("its sound changes its form in the range")
        self._form = form

    def _write(self, packet: AudioPacket) -> None:
        assert packet.pts is not None
        begin = self._samples(packet.pts - self._origin)
        if self._next is not None and abs(begin - self._next) <= self._jitter:
            begin = self._next  # packets follow each other without the container's rounding
        if self._next is not None and begin < self._next:
            self._writer.record.overlaps += 1
            return  # the source's time jumps back; what was written stays
        self._is_heard = self._is_heard or begin >= 0
        duration = self._samples(self._length(packet))
        self._next = begin + duration
        packet.time_base = self._step
        packet.pts = packet.dts = begin
        packet.duration = duration
        self._writer.write(packet, self._stream)

    def _length(self, packet: AudioPacket) -> int:
        own = packet.duration or self._duration
        return self._duration if self._longest is not None and own > self._longest else own

    def _samples(self, ticks: int) -> int:
        scaled, bottom = ticks * self._scale.numerator, self._scale.denominator
        return (2 * scaled + bottom) // (2 * bottom)


_Form = tuple[str, str, int]  # sample format, layout, rate


def _form_of(frame: AudioFrame) -> _Form:
    return frame.format.name, frame.layout.name, frame.sample_rate


class EncodedSound:
    """Decodes, cuts to the sample, and encodes."""

    def __init__(
        self, source: AudioStream, request: CutRequest, window: Window, writer: ClipWriter
    ) -> None:
        context = source.codec_context
        name = CONTAINERS[request.container].audio_encoder
        assert name is not None
        encoder = SOUND_ENCODERS[name]
        self.done = False
        self.until = Fraction(-1)
        self._source = source
        self._window = window
        self._writer = writer
        self._rate = context.sample_rate if context.sample_rate in encoder.rates else OTHER_RATE
        channels = kept_channels(name, context.channels)
        self._layout = encoder.layouts[channels]
        bit_rate = sound_bit_rate(name, request.output.quality, channels)
        self._stream = writer.encoded_audio(name, self._rate, self._layout, bit_rate, source)
        self._graph: Graph | None = None
        middle = float(window.end - window.start) / 2
        self._samples = writer.record.sounds[self._stream.index]
        self._samples += [SoundSample(0.0), SoundSample(middle)]
        self._origin = float(window.zero + window.start)
        self._usual: _Form = ("", "", 0)
        self._resamplers: dict[_Form, AudioResampler] = {}

    def feed(self, packet: AudioPacket) -> None:
        """Decode the packet if it is near the range."""
        if packet.pts is None or self.done:
            return
        time = self._window.time(packet.pts)
        if time >= self._window.end:
            self.done = True
        elif time >= self._window.start - 1:
            self._decode(packet)

    def _decode(self, packet: AudioPacket | None) -> None:
        try:
            frames = self._source.codec_context.decode(packet)
        except InvalidDataError:
            return  # a damaged packet is a gap, which the filter fills with silence
        for frame in frames:
            for sample in self._samples:
                if not sample.is_full:
                    sample.add_from(frame, self._origin)
            if self._graph is None:
                self._graph = self._filter(frame)
                self._usual = _form_of(frame)
            try:
                for suited in self._suited(frame):
                    self._graph.push(suited)
            except NothingMore:  # the filter has received the whole range
                self.done = True
                return
            self._encode_ready()

    def _suited(self, frame: AudioFrame) -> list[AudioFrame]:
        """The sound in the form of the first frame, whatever form the track has later."""
        form = _form_of(frame)
        if form == self._usual:
            return [frame]
        if form not in self._resamplers:
            self._resamplers[form] = AudioResampler(*self._usual)
        suited = self._resamplers[form].resample(frame)
        base = self._window.time_base
        for other in suited:
            if other.pts is not None and other.time_base is not None:
                other.pts = round(other.pts * other.time_base / base)
                other.time_base = base
        return suited

    def finish(self) -> None:
        """Decode, cut and encode to the end."""
        self._decode(None)
        if self._graph is not None:
            with suppress(NothingMore):  # the filter may have ended with the range
                self._graph.push(None)
            self._encode_ready()
        self._write(self._stream.codec_context.encode(None))

    def _encode_ready(self) -> None:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (NothingYet, NothingMore):
                return
            assert isinstance(frame, AudioFrame)
            self._write(self._stream.codec_context.encode(frame))

    def _write(self, packets: list[AudioPacket]) -> None:
        for packet in packets:
            if packet.pts is not None:
                self.until = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._writer.write(packet, self._stream)

    def _filter(self, frame: AudioFrame) -> Graph:
        """A filter that cuts to the range, counts from its start, fills gaps and suits the encoder.

        Built from a decoded frame: a stream's declared parameters may differ from it.
        """
        base, window = self._window.time_base, self._window
        start = window.zero + window.start
        first = round(start * frame.sample_rate)  # atrim counts samples
        past = round((window.zero + window.end) * frame.sample_rate)
        context = self._stream.codec_context
        context.open(strict=False)
        graph = Graph()
        steps = [
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format,
                layout=frame.layout.name,
                time_base=base,
            ),
            graph.add("atrim", start_pts=str(first), end_pts=str(past)),
            graph.add("asetpts", f"PTS-{round(start / base)}"),
            graph.add(
                "aresample", f"{self._rate}:async=1:min_hard_comp={LEAST_GAP_SECONDS}:first_pts=0"
            ),
            graph.add(
                "aformat",
                sample_fmts=context.format.name,
                sample_rates=str(self._rate),
                channel_layouts=self._layout,
            ),
            graph.add("asetnsamples", n=str(context.frame_size or 1024), p="0"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*steps).configure()
        return graph
