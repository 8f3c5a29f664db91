"""How the sources are made from one base: ten seconds of numbered pictures, and noise.

`tests.support.cases.table` has all. A case says which of the base's pictures its source shows, and
when, so that what is right does not depend on anybody's decoder.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import imageio_ffmpeg

from tests.support.media import Video, cached_video, ffmpeg
from tests.support.shared import made_once

FPS = 25
SECONDS = 10
_PICTURES = Video(
    seconds=SECONDS, audio=None, suffix=".mkv", keyframe_seconds=2.0,
    options=("-qp", "0", "-preset", "ultrafast", "-threads", "2"),
)  # fmt: skip
X264 = "-c:v libx264 -preset veryfast -crf 20 -sc_threshold 0 -threads 1"
GOP = "-g 50 -keyint_min 50"
AAC = "-c:a aac -b:a 128k -ac 2"
X265 = "-c:v libx265 -preset ultrafast -crf 22 -tag:v hvc1"
CRA = "keyint=60:min-keyint=60:scenecut=0:open-gop=1:bframes=4:log-level=none"
TEXT = "1\n00:00:02,000 --> 00:00:04,000\nHello\n\n2\n00:00:05,500 --> 00:00:06,500\nBye\n"


@dataclass(frozen=True)
class Shown:
    """One picture of a source: which number it shows, and from when on, in seconds."""

    number: int
    time: float


def regular(fps: float = FPS, seconds: float = SECONDS, offset: float = 0.0) -> list[Shown]:
    """Every picture of the base, one after the other."""
    return [Shown(n, offset + n / fps) for n in range(round(seconds * fps))]


@dataclass(frozen=True)
class Case:
    """One source: `make` writes it from the base, `keyframe` is one in its middle, in seconds."""

    name: str
    make: Callable[[Path, Path], None]
    keyframe: float = 4.0
    shown: list[Shown] = field(default_factory=regular)
    sound: bool = True
    sound_is_base: bool = False  # compare with the base's: FFmpeg does not play the source's right
    timed_end: bool = True  # whether the source ends with the base, at ten seconds
    modes: tuple[str, ...] = ("auto", "encode", "copy")  # "resized" is auto with another width

    def file(self, folder: Path) -> Path:
        """The source, made once in a folder that a test run shares."""
        base = base_video(folder)
        return made_once(folder / f"case-{self.name}", lambda target: self.make(base, target))


def base_video(folder: Path) -> Path:
    """The base, losslessly; its noise swells and ebbs, so that any shift of the sound shows."""

    def make(target: Path) -> None:
        noise = f"anoisesrc=color=pink:seed=7:r=48000:d={SECONDS}:a=0.5,tremolo=f=0.7:d=0.6"
        pictures = cached_video(folder, _PICTURES)
        kept = ["-c:v", "copy", "-c:a", "pcm_s16le", "-ac", "2"]
        ffmpeg("-i", str(pictures), "-f", "lavfi", "-i", noise, *kept, str(target))

    return made_once(folder / "cases-base.mkv", make)


def simple(name: str, options: str, **more: object) -> Case:
    """A case that one FFmpeg command makes."""

    def make(base: Path, target: Path) -> None:
        ffmpeg("-i", str(base), *options.split(), str(target))

    return Case(name, make, **more)  # type: ignore[arg-type]


def in_two_parts(first: str, second: str, joined: str) -> Callable[[Path, Path], None]:
    """Two halves with settings of their own, joined by copying."""

    def make(base: Path, target: Path) -> None:
        with TemporaryDirectory() as name:
            parts = [Path(name) / f"{n}{target.suffix}" for n in range(2)]
            for part, options, cut in zip(parts, (first, second), ("-t 5", "-ss 5"), strict=True):
                ffmpeg(*cut.split(), "-i", str(base), *options.split(), str(part))
            listing = Path(name) / "list"
            listing.write_text("".join(f"file {part.name}\n" for part in parts))
            ffmpeg("-f", "concat", "-i", str(listing), *joined.split(), str(target))

    return make


def cover_first(base: Path, target: Path) -> None:
    """One JPEG as the first picture track, not flagged as a cover; the moving one is default."""
    with TemporaryDirectory() as name:
        still = Path(name) / "cover.jpg"
        ffmpeg("-f", "lavfi", "-i", "color=red:s=160x160", "-frames:v", "1", str(still))
        kept = "-map 1:v -map 0:v -map 0:a -c:v:0 copy -disposition:v:0 0 -disposition:v:1 default"
        own = X264.replace("-c:v", "-c:v:1")
        ffmpeg("-i", str(base), "-i", str(still), *f"{kept} {own} {GOP} {AAC}".split(), str(target))


def two_tracks(base: Path, target: Path) -> None:
    """Red pictures and German silence first; the numbered pictures and the tones are default."""
    other = "-f lavfi -i color=red:s=320x180:r=25:d=10 -f lavfi -i anullsrc=d=10"
    kept = "-map 1:v -map 0:v -map 2:a -map 0:a -disposition:v:0 0 -disposition:v:1 default"
    told = "-disposition:a:0 0 -disposition:a:1 default"
    named = "-metadata:s:a:0 language=deu -metadata:s:a:1 language=eng"
    ffmpeg(
        "-i", str(base), *f"{other} {kept} {told} {named} {X264} {GOP} {AAC}".split(), str(target)
    )  # fmt: skip


def wide_interleave(base: Path, target: Path) -> None:
    """Five seconds of pictures, then five of sound, and so on."""
    with TemporaryDirectory() as name:
        near = Path(name) / "near.mp4"
        ffmpeg("-i", str(base), *f"{X264} {GOP} {AAC}".split(), str(near))
        options = {"max_interleave_delta": "1"}
        with av.open(str(near)) as source, av.open(str(target), "w", options=options) as out:
            streams = {it.index: out.add_stream_from_template(it) for it in source.streams}
            packets = [packet for packet in source.demux() if packet.dts is not None]
            packets.sort(key=lambda it: (it.dts * it.time_base // 5, it.stream_index))
            out.start_encoding()
            for packet in packets:
                packet.stream = streams[packet.stream_index]
                out.mux_one(packet)


def late_video(base: Path, target: Path) -> None:
    """The pictures begin 1.3 s after the sound."""
    options = f"-map 1:v -map 0:a {X264} {GOP} {AAC}"
    ffmpeg("-i", str(base), "-itsoffset", "1.3", "-i", str(base), *options.split(), str(target))


def with_subtitles(base: Path, target: Path) -> None:
    """English subtitles and two sounds with languages."""
    with TemporaryDirectory() as name:
        text = Path(name) / "text.srt"
        text.write_text(TEXT)
        kept = "-map 0:v -map 0:a -map 0:a -map 1:s -c:s srt"
        told = (
            "-metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -metadata:s:s language=eng"
        )
        options = f"{kept} {told} {X264} {GOP} {AAC}"
        ffmpeg("-i", str(base), "-i", str(text), *options.split(), str(target))


def with_other_sound_packets(
    of: str, packet: Callable[[bytes, int], bytes], kind: str, low: float = 0, high: float = 99
) -> Callable[[Path, Path], None]:
    """A file with the bytes of its packets of one kind, between two times, replaced."""

    def make(base: Path, target: Path) -> None:
        with TemporaryDirectory() as name:
            good = Path(name) / f"good{target.suffix}"
            ffmpeg("-i", str(base), *of.split(), str(good))
            with av.open(str(good)) as source, av.open(str(target), "w") as out:
                streams = {it.index: out.add_stream_from_template(it) for it in source.streams}
                for number, old in enumerate(source.demux()):
                    if old.dts is None:
                        continue
                    new = old
                    if old.stream.type == kind and low <= float(old.pts * old.time_base) < high:
                        new = av.Packet(packet(bytes(old), number))
                        new.pts, new.dts, new.time_base = old.pts, old.dts, old.time_base
                        new.duration, new.is_keyframe = old.duration, old.is_keyframe
                    new.stream = streams[old.stream_index]
                    out.mux_one(new)

    return make


def overwritten(data: bytes, number: int) -> bytes:
    """All bytes but the first few, replaced."""
    return data[:8] + bytes((number * 31 + place) % 251 for place in range(len(data) - 8))


def partly_overwritten(data: bytes, number: int) -> bytes:
    """The second half, replaced."""
    half = len(data) // 2
    return data[:half] + bytes((number * 31 + place) % 251 for place in range(len(data) - half))


def unknown_sound(base: Path, target: Path) -> None:
    """Two sounds, of which the second is said to be of a codec that nobody here knows."""
    first = target.name.startswith("case-apac_first")
    tags = "-disposition:a:0 default -disposition:a:1 0"
    tracks = f"-map 0:v -map 0:a -map 0:a {tags} {X264} {GOP} {AAC}"
    ffmpeg("-i", str(base), *tracks.split(), str(target))
    data = target.read_bytes()
    places = [at for at in range(len(data)) if data.startswith(b"mp4a", at)]
    at = places[0 if first else -1]
    target.write_bytes(data[:at] + b"apac" + data[at + 4 :])


STILL = "select='not(between(t,1.01,3.19)+between(t,3.51,6.09))'"


def still_pictures() -> list[Shown]:
    """What a screen shows that stands still from 1 to 3.2 s and from 3.5 to 6.1 s."""
    gaps = ((1.01, 3.19), (3.51, 6.09))
    return [it for it in regular() if not any(low <= it.time <= high for low, high in gaps)]


def cases() -> Iterator[Case]:
    every = ("auto", "encode", "copy", "resized")
    yield simple("plain.mp4", f"{X264} {GOP} -bf 2 {AAC}", modes=every)
    yield simple("vp8.webm", "-c:v libvpx -deadline realtime -g 100 -c:a libopus -live 1")
    yield simple("prores.mov", "-c:v prores_ks -profile:v 3 -c:a pcm_s24le -timecode 01:00:00:00")
    yield simple(
        "dv.avi", "-vf scale=720:576,setsar=1 -c:v dvvideo -pix_fmt yuv420p -ar 48000 -ac 2"
    )
    yield simple("wmv.wmv", "-c:v wmv2 -q:v 3 -c:a wmav2 -g 50")
    yield simple("gif.gif", "-vf scale=160:-2", sound=False)
    yield simple("theora.ogv", "-c:v libtheora -q:v 9 -c:a libvorbis -g 50")
    yield simple(
        "phone.3gp",
        "-vf scale=352:288 -c:v h263 -q:v 3 -c:a libopencore_amrnb -ar 8000 -ac 1",
        sound=False,
    )
    yield simple("truehd.mkv", f"{X264} {GOP} -c:a truehd -strict -2 -ac 2")
    yield simple("program.mpg", "-c:v mpeg2video -q:v 3 -bf 2 -g 50 -c:a mp2")
    yield simple("h264_b.avi", f"{X264} {GOP} -bf 2 -c:a libmp3lame")
    yield simple("h264_pyramid.avi", f"{X264} {GOP} -bf 5 -c:a libmp3lame")
    yield simple("h264_in_order.avi", f"{X264} {GOP} -bf 0 -c:a libmp3lame", modes=every)
    yield simple("mpeg4_b.avi", "-c:v mpeg4 -q:v 3 -bf 2 -g 50 -c:a libmp3lame")
    yield simple(
        "lossless444.mkv", f"-c:v libx264 -preset ultrafast -qp 0 {GOP} -pix_fmt yuv444p -c:a flac"
    )
    yield simple("lossless420.mp4", f"-c:v libx264 -preset veryfast -qp 0 {GOP} {AAC}")
    yield simple("hevc_cra.mp4", f"{X265} -x265-params {CRA} {AAC}", keyframe=4.8)
    yield simple("hevc_cra.mkv", f"{X265} -x265-params {CRA} {AAC}", keyframe=4.8)
    often = CRA.replace("=60", "=50")
    yield simple("hevc_cra_often.mkv", f"{X265} -x265-params {often} {AAC}")
    tags = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:max-cll=1000,400"
    yield simple(
        "hdr10_hevc.mp4",
        f"{X265} -pix_fmt yuv420p10le -x265-params {CRA}:{tags} {AAC}",
        keyframe=4.8,
    )
    yield Case(
        "sps_change.ts",
        in_two_parts(
            f"{X264} {GOP} -refs 1 -bf 0 -coder 0 {AAC}",
            f"{X264} {GOP} -refs 4 -bf 3 {AAC}",
            "-c copy",
        ),
        modes=("auto", "encode"),
        sound=False,
    )
    repeated = "-x264-params repeat-headers=1"
    yield Case(
        "append.mkv",
        in_two_parts(
            f"{X264} {GOP} -bf 2 {repeated} {AAC}",
            f"{X264} {GOP} -bf 2 -refs 5 -coder 0 {repeated} {AAC}",
            "-c copy",
        ),
        sound=False,
    )
    yield Case("cover_first.mkv", cover_first)
    yield Case("two_tracks.mkv", two_tracks)
    yield Case("wide_interleave.mkv", wide_interleave)
    yield Case("late_video.mkv", late_video, keyframe=5.3, shown=regular(offset=1.3), modes=every)
    yield Case("subtitles.mkv", with_subtitles)
    yield simple("baseline.mp4", f"{X264} {GOP} -profile:v baseline {AAC}")
    slides = [Shown(0, 0.0)]
    one = f"-vf select=eq(n\\,0) -fps_mode vfr {X264} {AAC}"
    yield simple("slides.mp4", one, shown=slides, modes=every)
    yield simple(
        "still.mp4",
        f"-vf {STILL} -fps_mode vfr {X264} {GOP} {AAC}",
        shown=still_pictures(),
        keyframe=6.12,
        modes=every,
    )
    yield simple("audio4.mp4", f"-af atrim=end=4 {X264} {GOP} {AAC}", sound=False)
    yield Case(
        "broken_ac3.mp4",
        with_other_sound_packets(f"{X264} {GOP} -c:a ac3", overwritten, "audio"),
        sound=False,
    )
    yield Case(
        "damaged_middle.mp4",
        with_other_sound_packets(f"{X264} {GOP} {AAC}", partly_overwritten, "video", 3.5, 5.0),
    )
    yield Case("apac_second.mov", unknown_sound)
    yield Case("apac_first.mov", unknown_sound)
    jump = "'if(gte(T,5),PTS+2/TB,PTS)'"
    jumping = f"-vf setpts={jump} -af asetpts={jump} -fps_mode vfr {X264} {GOP} {AAC}"
    gap = [Shown(it.number, it.time + (2.0 if it.time >= 5 else 0.0)) for it in regular()]
    yield simple("gap.ts", jumping, shown=gap)
    yield simple("gap.mp4", jumping, shown=gap)
    halves = f"{X264} {GOP} -bf 2"
    yield Case(
        "aac_change.ts",
        in_two_parts(f"{halves} {AAC}", f"{halves} -c:a aac -ac 1 -ar 44100", "-c copy"),
        sound_is_base=True,
        modes=("auto", "encode"),
    )
    yield Case(
        "ac3_change.ts",
        in_two_parts(f"{halves} -c:a ac3 -ac 2", f"{halves} -c:a ac3 -ac 6", "-c copy"),
        sound_is_base=True,
        modes=("auto", "encode"),
    )
    yield simple("mjpeg.avi", "-c:v mjpeg -q:v 3 -c:a pcm_s16le")
    closed = "keyint=50:open-gop=0:log-level=none"
    yield simple("hevc_closed.ts", f"{X265} -x265-params {closed} {AAC}")
    yield simple("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus")
    slow = [Shown(5 * n, n / 5) for n in range(50)]
    yield simple(
        "slow.mp4", f"-vf select=not(mod(n\\,5)) -r 5 {X264} -g 10 {AAC}", shown=slow, modes=every
    )
    yield simple("fragmented.mp4", f"{X264} {GOP} -bf 2 {AAC} -movflags frag_keyframe+empty_moov")
    yield simple("plain.ts", f"{X264} {GOP} -bf 2 {AAC}", modes=("auto", "encode"))
    yield simple("plain.mkv", f"{X264} {GOP} -bf 2 {AAC}")
    yield simple("open_gop.mp4", f"{X264} {GOP} -bf 3 -x264-params open-gop=1 {AAC}")
    yield simple("plain.flv", f"{X264} {GOP} -bf 2 {AAC}")


def tracks(path: Path) -> dict[str, list[dict[str, str]]]:
    """The tags of the tracks of a file, by kind."""
    with av.open(str(path)) as container:
        found: dict[str, list[dict[str, str]]] = {}
        for stream in container.streams:
            found.setdefault(stream.type, []).append(dict(stream.metadata))
    return found


def messages(path: Path) -> str:
    """What FFmpeg's command says while it plays everything."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "warning", "-nostdin", "-i", str(path)]
    command += ["-map", "0", "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, timeout=60).stderr.decode(errors="replace")
