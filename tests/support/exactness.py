"""The judge of a clip, independent of the code that cut it.

The source is decoded from its beginning; the frames whose time lies in the range are the
reference. The clip must hold the same number, each the same picture (by hash, or by PSNR where it
was encoded), at the same times; its sound must correlate with the source's without a shift; and
FFmpeg's command must play it from start to end without a warning.
"""

from __future__ import annotations

import hashlib
import math
import subprocess
from array import array
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from operator import mul
from pathlib import Path

import av
import imageio_ffmpeg
from av import VideoFrame
from av.filter import Graph

GRACE = Fraction(1, 2000)
STILL = Fraction(1, 10)  # a picture that is shown for longer is on display
SOUND_RATE = 4000
WINDOW = SOUND_RATE // 4
MAX_SHIFT = SOUND_RATE // 25  # samples searched each way: 40 ms
LEAST_CORRELATION = 0.6


@dataclass(frozen=True)
class Picture:
    """One decoded frame: when it shows (in a player's time) and what it shows."""

    time: Fraction
    digest: bytes
    frame: VideoFrame


@dataclass
class Verdict:
    """What was found; `faults` is empty for an exact clip."""

    frames: int
    identical: int
    worst_psnr: float  # of the frames that are not identical; inf when all are
    sound_shift_ms: float
    faults: list[str]


def decode(path: Path) -> list[Picture]:
    """Every frame of the first video stream, times counted from the container's start."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return []
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        zero = Fraction(container.start_time or 0, av.time_base)
        frames = [frame for frame in container.decode(stream) if frame.pts is not None]
        # Pictures come out in the order of showing. AVI has no times for it, where that is another
        # than the order of decoding, only a rate. Where it is the same, FFmpeg's guess is late.
        is_avi = container.format.name == "avi"
        if is_avi and stream.codec_context.reorder_depth:
            times = list(range(len(frames)))
        else:
            times = sorted((it.dts if is_avi else it.pts) or 0 for it in frames)
        return [
            Picture(pts * stream.time_base - zero, _digest(frame), frame)
            for pts, frame in zip(times, frames, strict=True)
        ]


@lru_cache(maxsize=2)
def _decoded_source(path: Path) -> list[Picture]:
    return decode(path)


@lru_cache(maxsize=2)
def _source_sound(path: Path) -> array[int] | None:
    return sound(path)[0]


def reference(path: Path, start: float, end: float) -> list[Picture]:
    """The source's frames that belong to the range, at the times at which the clip shows them.

    The first may have begun before the range: the one on display, where no other follows soon.
    """
    first, past = Fraction(start) - GRACE, Fraction(end) - GRACE
    pictures = _decoded_source(path)
    inside = [picture for picture in pictures if first <= picture.time < past]
    before = [picture for picture in pictures if picture.time < first]
    if not before or (inside and inside[0].time <= Fraction(start) + STILL):
        return inside
    return [replace(before[-1], time=Fraction(start)), *inside]


def judge(source: Path, clip: Path, start: float, end: float) -> Verdict:
    """Compare a clip with the range of its source."""
    wanted, got = reference(source, start, end), decode(clip)
    faults = []
    if len(wanted) != len(got):
        faults.append(f"{len(got)} frames instead of {len(wanted)}")
    faults += _time_faults(wanted, got)
    pairs = list(zip(wanted, got, strict=False))
    encoded = [(w.frame, g.frame) for w, g in pairs if w.digest != g.digest]
    own_sound, words = sound(clip)
    if words:
        faults.append(f"the decoder says: {words[:300]}")
    shift = 0.0
    if own_sound is not None or _source_sound(source) is not None:
        origin = float(wanted[0].time) if wanted else start
        shift = _sound_shift(_source_sound(source), own_sound, origin, end, faults)
    return Verdict(
        frames=len(got),
        identical=len(pairs) - len(encoded),
        worst_psnr=luma_psnr(encoded),
        sound_shift_ms=shift,
        faults=faults,
    )


def _time_faults(wanted: list[Picture], got: list[Picture]) -> list[str]:
    for w, g in zip(wanted, got, strict=False):
        if abs((w.time - wanted[0].time) - (g.time - got[0].time)) > Fraction(2, 1000):
            return [f"the frame at {float(w.time):.3f} shows at {float(g.time):.3f}"]
    return []


def _digest(frame: VideoFrame) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for plane in frame.planes:
        rows, stride = memoryview(plane), plane.line_size
        bytes_a_sample = (frame.format.components[0].bits + 7) // 8
        used = plane.width * bytes_a_sample
        if used == stride:  # nothing between the rows
            state.update(rows[: used * plane.height])
            continue
        for row in range(plane.height):
            state.update(rows[row * stride : row * stride + used])
    return state.digest()


def luma_psnr(pairs: list[tuple[VideoFrame, VideoFrame]]) -> float:
    """The worst luma PSNR over pairs of frames, in dB; pictures of 4:2:0 with other sizes or
    formats are compared in the part and depth that both have."""
    if not pairs:
        return math.inf
    graph, worst = _psnr_graph(*pairs[0]), math.inf
    for number, (left, right) in enumerate(pairs):
        for at, frame in enumerate((left, right)):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.push(frame, at=at)
        worst = min(worst, float(graph.pull().metadata["lavfi.psnr.psnr.y"]))
    return worst


def _psnr_graph(left: VideoFrame, right: VideoFrame) -> Graph:
    width, height = min(left.width, right.width), min(left.height, right.height)
    graph = Graph()
    psnr = graph.add("psnr")
    for at, frame in enumerate((left, right)):
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
        )
        crop = graph.add("crop", f"{width}:{height}:0:0")
        form = graph.add("format", right.format.name)
        source.link_to(crop)
        crop.link_to(form)
        form.link_to(psnr, 0, at)
    psnr.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def sound(path: Path, track: int = 0) -> tuple[array[int] | None, str]:
    """One track as 4 kHz mono from the container's start, and FFmpeg's messages while it
    played all streams of the file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "warning", "-nostdin", "-threads", "1"]
    command += ["-i", str(path)]
    command += [
        "-map",
        "0:v?",
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "demux",
        "-f",
        "null",
        "-",
    ]
    command += [
        "-map",
        f"0:a:{track}?",
        "-af",
        f"aresample={SOUND_RATE}:async=1:min_hard_comp=0.01:first_pts=0",
        "-ac",
        "1",
    ]
    command += ["-f", "s16le", "pipe:1"]
    with av.open(str(path)) as container:
        if not container.streams.audio:
            command = command[: command.index("-") + 1]
    done = subprocess.run(command, capture_output=True, timeout=60)
    words = done.stderr.decode(errors="replace").strip()
    return (array("h", done.stdout[: len(done.stdout) // 2 * 2]) if done.stdout else None), words


def _sound_shift(
    source: array[int] | None, clip: array[int] | None, start: float, end: float, faults: list[str]
) -> float:
    """The largest shift of the sound over the clip, in milliseconds."""
    offset = round(start * SOUND_RATE)
    available = min(round(end * SOUND_RATE), len(source or ())) - offset
    if source is None or clip is None:
        if clip is not None or available > SOUND_RATE // 20:
            faults.append("sound on one side only")
        return 0.0
    if len(clip) < available - SOUND_RATE // 20:
        faults.append(f"{len(clip)} samples of sound instead of {available}")
    worst = 0.0
    # The first 40 ms may be missing where a container cannot hide a decoder's lead-in.
    begin = SOUND_RATE // 25
    for at in range(begin, min(available, len(clip)) - WINDOW, SOUND_RATE // 2):
        shift, correlation = _best_shift(source, clip, offset, at)
        worst = max(worst, abs(shift) * 1000 / SOUND_RATE)
        if correlation < LEAST_CORRELATION:
            faults.append(f"sound at {at / SOUND_RATE:.2f} s correlates only {correlation:.2f}")
    return worst


def _best_shift(source: array[int], clip: array[int], offset: int, at: int) -> tuple[int, float]:
    own = clip[at : at + WINDOW]
    best = (0, -1.0)
    energy = math.sqrt(sum(map(mul, own, own))) or 1.0
    for shift in sorted(range(-MAX_SHIFT, MAX_SHIFT + 1), key=abs):
        begin = offset + at + shift
        if begin < 0 or begin + WINDOW > len(source):
            continue
        other = source[begin : begin + WINDOW]
        norm = math.sqrt(sum(map(mul, other, other))) or 1.0
        correlation = sum(map(mul, own, other)) / energy / norm
        if correlation > best[1]:
            best = (shift, correlation)
        if correlation > 0.95:
            break  # another shift could be better only by noise
    return best
