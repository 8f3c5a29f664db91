"""Whether a clip holds the requested frames: their number, the first and the last.

The first and the last picture are compared with the source's pictures around the right frame; the
right picture must be the most similar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
from av import VideoFrame

from benchmarks.clips.sizes import FPS, Range

NEIGHBOURS = 2  # on each side of the right picture
LEAST_PSNR = 20.0  # below this it is another picture altogether
SMALL = (480, 270)  # pictures are compared in grey at this size


def judge(source: Path, clip: Path, wanted: Range) -> list[str]:
    """What is wrong with the clip; nothing when it is exact."""
    if not clip.is_file():
        return ["there is no clip"]
    try:
        shown = shown_by(clip)
    except av.error.FFmpegError as error:
        return [f"cannot be decoded: {error}"]
    if not shown.frames:
        return ["no frames"]
    frames, faults = wanted.frames, []
    if shown.frames != len(frames):
        faults.append(
            f"{shown.frames} frames instead of {len(frames)} ({shown.stored} in the file)"
        )
    pairs = (("first", shown.first, frames[0]), ("last", shown.last, frames[-1]))
    for word, picture, number in pairs:
        offset, similarity = best_match(picture, around(source, number))
        if offset or similarity < LEAST_PSNR:
            faults.append(f"the {word} frame is off by {offset:+} ({similarity:.0f} dB)")
    return faults


@dataclass(frozen=True)
class Shown:
    """What FFmpeg, and so any player built on FFmpeg, shows of a clip. `stored` also counts frames
    that are in the file but hidden by its edit list."""

    frames: int
    stored: int
    first: bytes
    last: bytes


def shown_by(clip: Path) -> Shown:
    """Decode the whole clip."""
    frames, stored, first, last = 0, 0, None, None
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for packet in container.demux(stream):
            stored += packet.pts is not None  # the last packet only empties the decoder
            for frame in packet.decode():
                first, last, frames = first or frame, frame, frames + 1
    return Shown(frames, stored, small(first), small(last))


@lru_cache(maxsize=256)
def around(source: Path, number: int) -> dict[int, bytes]:
    """The source's pictures near a frame, by their distance from this frame."""
    wanted = range(max(0, number - NEIGHBOURS), number + NEIGHBOURS + 1)
    found: dict[int, bytes] = {}
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(int(wanted[0] / FPS / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            assert frame.pts is not None
            at = round(frame.pts * stream.time_base * FPS)
            if at > wanted[-1]:
                break
            if at in wanted:
                found[at - number] = small(frame)
    return found


def small(frame: VideoFrame | None) -> bytes:
    """The picture as bytes of grey, row after row."""
    if frame is None:
        return b""
    plane = frame.reformat(width=SMALL[0], height=SMALL[1], format="gray").planes[0]
    rows, stride = memoryview(plane), plane.line_size
    return b"".join(rows[row * stride : row * stride + SMALL[0]] for row in range(SMALL[1]))


def best_match(picture: bytes, candidates: dict[int, bytes]) -> tuple[int, float]:
    """The distance of the most similar candidate, and its similarity (PSNR in dB)."""
    return max(
        ((offset, psnr(picture, other)) for offset, other in candidates.items()),
        key=lambda found: found[1],
    )


def psnr(left: Sequence[int], right: Sequence[int]) -> float:
    error = sum((a - b) ** 2 for a, b in zip(left, right, strict=True)) / len(left)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
