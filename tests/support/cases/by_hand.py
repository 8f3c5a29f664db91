"""Sources that no FFmpeg command writes: edit lists, two sample entries, 3:2 pulldown, subtitles
that are pictures."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.container import OutputContainer
from av.stream import Stream

from tests.support.cases.boxes import (
    Box,
    add_sample_entry,
    sample_entry,
    set_edits,
    with_index,
)
from tests.support.cases.recipes import (
    AAC,
    FPS,
    GOP,
    TEXT,
    X264,
    Case,
    Shown,
    in_two_parts,
)
from tests.support.media import ffmpeg

KEPT = ((0.0, 3.2), (3.4, 6.4), (6.6, 10.0))  # of the base, after a moment of nothing
NOTHING_SECONDS = 0.4
TICKS = 90_000
FIELD = Fraction(1001, 60_000)  # seconds
DVB_SECONDS = (2.0, 4.0, 5.5, 7.0)


def many_edits(base: Path, target: Path) -> None:
    """An edit list with an empty segment and three others, for pictures and sound."""
    own = f"{X264} {GOP} -bf 0 -video_track_timescale 12800 {AAC}"
    ffmpeg("-i", str(base), *own.split(), str(target))

    def change(moov: Box) -> None:
        for kind, rate, priming in ((b"vide", 12_800, 0), (b"soun", 48_000, 1024)):
            edits = [(end - begin, round(begin * rate) + priming) for begin, end in KEPT]
            set_edits(moov, kind, [(NOTHING_SECONDS, -1), *edits])

    target.write_bytes(with_index(target.read_bytes(), change))


def edited() -> list[Shown]:
    """What is shown, counted from where a player starts to count: behind the empty segment."""
    shown: list[Shown] = []
    for begin, end in KEPT:
        at = shown[-1].time + 1 / FPS if shown else 0.0
        first, past = round(begin * FPS), round(end * FPS)
        shown += [Shown(n, at + (n - first) / FPS) for n in range(first, past)]
    return shown


def two_entries(base: Path, target: Path) -> None:
    """One track with two sample entries: parameter sets of their own for each half."""
    second = f"{X264} {GOP} -bf 3 -refs 5 -coder 0 {AAC}"
    in_two_parts(f"{X264} {GOP} -bf 2 {AAC}", second, "-c copy")(base, target)
    with TemporaryDirectory() as name:
        other = Path(name) / "other.mp4"
        ffmpeg("-ss", "5", "-i", str(base), *second.split(), "-an", str(other))
        entry = sample_entry(other.read_bytes())
    whole = target.read_bytes()
    target.write_bytes(with_index(whole, lambda moov: add_sample_entry(moov, entry, 5 * FPS)))


def three_tracks(base: Path, target: Path) -> None:
    """As a recorder writes it: three sounds with titles, the last of them default; subtitles."""
    with TemporaryDirectory() as name:
        text = Path(name) / "text.srt"
        text.write_text(TEXT)
        told = " ".join(
            f"-metadata:s:a:{n} language={language} -metadata:s:a:{n} title={title}"
            for n, (language, title) in enumerate((("eng", "Mix"), ("deu", "Mic"), ("fra", "Game")))
        )
        kept = "-map 0:v -map 0:a -map 0:a -map 0:a -map 1:s -c:s srt -disposition:a:0 0"
        own = f"{X264} {GOP} -bf 3 -x264-params b-pyramid=normal {AAC} -disposition:a:2 default"
        options = f"{kept} {told} {own} -metadata:s:s language=eng"
        ffmpeg("-i", str(base), "-i", str(text), *options.split(), str(target))


def picture_subtitles(base: Path, target: Path) -> None:
    """MPEG-TS with DVB subtitles, each an empty page."""
    with TemporaryDirectory() as name:
        near = Path(name) / "near.ts"
        ffmpeg("-i", str(base), *f"{X264} {GOP} -bf 2 {AAC}".split(), str(near))
        with av.open(str(near)) as source, av.open(str(target), "w") as out:
            streams: dict[int, Stream] = {
                it.index: out.add_stream_from_template(it) for it in source.streams
            }
            subtitles = out.add_mux_stream("dvb_subtitle")
            subtitles.metadata["language"] = "deu"
            due = [source.start_time / av.time_base + seconds for seconds in DVB_SECONDS]
            for packet in source.demux():
                if packet.dts is None:
                    continue
                while due and packet.dts * packet.time_base >= due[0]:
                    _mux(out, subtitles, _empty_page(), round(due.pop(0) * TICKS))
                packet.stream = streams[packet.stream_index]
                out.mux_one(packet)


def _empty_page() -> bytes:
    page, end = struct.pack(">BBHHBB", 15, 16, 1, 2, 30, 4), struct.pack(">BBHH", 15, 128, 1, 0)
    return b"\x20\x00" + page + end + b"\xff"


def pulldown(base: Path, target: Path) -> None:
    """MPEG-PS of a film for 60 fields a second: pictures stay for three fields and two in turn."""
    with TemporaryDirectory() as name:
        pictures, sound = Path(name) / "pictures.m2v", Path(name) / "sound.mp2"
        fast = "-vf setpts=N*1001/30000/TB -r 30000/1001 -an -c:v mpeg2video -q:v 3"
        fields = f"{fast} -g 12 -bf 0 -flags +ildct+ilme"
        ffmpeg("-i", str(base), *fields.split(), str(pictures))
        ffmpeg("-i", str(base), *["-vn", "-c:a", "mp2", "-b:a", "192k"], str(sound))
        with (
            av.open(str(pictures)) as seen,
            av.open(str(sound)) as heard,
            av.open(str(target), "w", format="mpeg") as out,
        ):
            video = out.add_stream_from_template(seen.streams.video[0])
            audio = out.add_stream_from_template(heard.streams.audio[0])
            shown = (
                (TICKS // 2 + round(Fraction(it.time) * TICKS), video, _flagged(bytes(packet), n))
                for n, (it, packet) in enumerate(
                    zip(pulled_down(), (it for it in seen.demux() if it.size), strict=True)
                )
            )
            played = (
                (TICKS // 2 + round(Fraction(1152 * n * TICKS, 48_000)), audio, bytes(packet))
                for n, packet in enumerate(it for it in heard.demux() if it.size)
            )
            for ticks, stream, data in merge(shown, played, key=lambda it: it[0]):
                _mux(out, stream, data, ticks)


def _flagged(data: bytes, place: int) -> bytes:
    """A picture that says how many fields it stays, and with which it begins."""
    top, repeated = ((1, 1), (0, 0), (0, 1), (1, 0))[place % 4]
    at = data.index(b"\x00\x00\x01\xb5", data.index(b"\x00\x00\x01\x00"))
    assert data[at + 4] >> 4 == 8  # the extension of a picture
    changed = bytearray(data)
    changed[at + 7] = changed[at + 7] & 0x7D | top << 7 | repeated << 1
    changed[at + 8] |= 0x80  # a whole picture
    return bytes(changed)


def pulled_down() -> list[Shown]:
    """When the base's pictures are shown then."""
    return [Shown(n, float((5 * (n // 2) + 3 * (n % 2)) * FIELD)) for n in range(10 * FPS)]


def _mux(out: OutputContainer, stream: Stream, data: bytes, ticks: int) -> None:
    packet = av.Packet(data)
    packet.stream, packet.time_base = stream, Fraction(1, TICKS)
    packet.pts = packet.dts = ticks
    packet.is_keyframe = True
    out.mux_one(packet)


def cases_by_hand() -> Iterator[Case]:
    """The table of these sources."""
    yield Case("edits_many.mp4", many_edits, shown=edited(), keyframe=3.8, timed_end=False)
    yield Case("concat_entries.mp4", two_entries)
    yield Case("obs_tracks.mkv", three_tracks)
    yield Case("ts_dvbsub.ts", picture_subtitles)
    film = pulled_down()
    yield Case("pulldown.mpg", pulldown, shown=film, keyframe=film[96].time, timed_end=False)
