"""The memory model beside the peaks it was fitted to, in MiB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.media import ColourFacts, MediaFacts
from tests.unit.worker.ffmpeg.values import FACTS, plan, video
from worker.memory.model import (
    MIB,
    copy_bytes,
    memory_estimate_bytes,
    smart_estimate_bytes,
    thumbnail_bytes,
)

SIZES = {360: (640, 360), 720: (1280, 720), 1080: (1920, 1080), 2160: (3840, 2160)}
ENCODED = {
    ("mp4", "draft", 1): (48, 70, 104, 276),
    ("mp4", "draft", 2): (49, 76, 120, 323),
    ("mp4", "standard", 1): (58, 104, 179, 543),
    ("mp4", "standard", 2): (62, 116, 209, 645),
    ("mp4", "high", 1): (64, 127, 224, 715),
    ("mp4", "high", 2): (68, 142, 255, 818),
    ("webm", "draft", 1): (74, 139, 238, 773),
    ("webm", "draft", 2): (81, 148, 251, 808),
    ("webm", "high", 1): (75, 141, 241, 778),
    ("webm", "high", 2): (82, 150, 256, 811),
}
SMART = {
    ("draft", 1): (46, 61, 86, 204),
    ("standard", 1): (46, 61, 86, 205),
    ("standard", 2): (48, 65, 99, 256),
    ("high", 1): (49, 74, 109, 281),
}
# By the PyAV program, which encodes everything.
EXACT = {
    ("draft", 1): (50, 75, 112, 302),
    ("standard", 1): (60, 109, 187, 574),
    ("standard", 2): (62, 113, 197, 607),
    ("high", 1): (67, 132, 234, 746),
}
# Codec, depth, HDR, height of the source, width asked, threads, peak; quality draft.
DECODED = [
    ("hevc", 8, False, 2160, None, 1, 295),
    ("hevc", 8, False, 2160, 640, 1, 162),
    ("hevc", 8, False, 1080, None, 2, 113),
    ("hevc", 10, False, 2160, None, 1, 415),
    ("hevc", 10, False, 2160, 640, 1, 245),
    ("hevc", 10, False, 1080, None, 1, 130),
    ("hevc", 10, True, 1080, None, 1, 202),
    ("hevc", 10, True, 1080, None, 2, 217),
    ("hevc", 10, True, 1080, 640, 1, 106),
    ("av1", 8, False, 2160, None, 1, 315),
    ("av1", 8, False, 2160, None, 2, 407),
    ("av1", 8, False, 2160, 640, 1, 170),
    ("vp9", 8, False, 2160, None, 1, 252),
    ("vp9", 8, False, 2160, 640, 1, 106),
    ("prores", 10, False, 2160, None, 1, 304),
    ("prores", 10, False, 2160, 640, 1, 125),
    ("mpeg2video", 8, False, 2160, None, 1, 237),
    ("mpeg2video", 8, False, 2160, 640, 1, 87),
]


def source(height: int, **changes: Any) -> MediaFacts:
    width, height = SIZES[height]
    return replace(FACTS, video=video(width=width, height=height, **changes))


def assert_close(estimate: int, peak: int) -> None:
    assert 0.9 * peak <= estimate / MIB <= 1.35 * peak, (estimate / MIB, peak)


def rows(table: dict[Any, tuple[int, ...]]) -> list[Any]:
    return [
        (*how, height, peak)
        for how, peaks in table.items()
        for height, peak in zip(SIZES, peaks, strict=True)
    ]


@pytest.mark.parametrize(("container", "quality", "threads", "height", "peak"), rows(ENCODED))
def test_encoding(container: str, quality: str, threads: int, height: int, peak: int) -> None:
    clip = plan(container, source(height), quality=quality, threads=threads)

    assert_close(memory_estimate_bytes(clip), peak)


@pytest.mark.parametrize(("quality", "threads", "height", "peak"), rows(SMART))
def test_the_smart_cut(quality: str, threads: int, height: int, peak: int) -> None:
    clip = plan("mp4", source(height), quality=quality, threads=threads)

    assert_close(smart_estimate_bytes(clip), peak)


@pytest.mark.parametrize(("quality", "threads", "height", "peak"), rows(EXACT))
def test_the_exact_encode(quality: str, threads: int, height: int, peak: int) -> None:
    clip = plan("mp4", source(height), quality=quality, threads=threads)

    assert_close(memory_estimate_bytes(clip), peak)


@pytest.mark.parametrize(("codec", "depth", "hdr", "height", "width", "threads", "peak"), DECODED)
def test_decoding(
    codec: str, depth: int, hdr: bool, height: int, width: int | None, threads: int, peak: int
) -> None:
    colour = ColourFacts(transfer="smpte2084" if hdr else None)
    facts = source(height, codec=codec, bit_depth=depth, colour=colour)
    clip = plan("mp4", facts, quality="draft", width=width, threads=threads)

    assert_close(memory_estimate_bytes(clip), peak)


@pytest.mark.parametrize(
    ("height", "wanted", "peak"),
    [
        (720, {"width": 640}, 67),
        (1080, {"width": 320}, 70),
        (2160, {"width": 320}, 143),
        (1080, {"width": 1280}, 123),
        (2160, {"width": 1280}, 191),
        (360, {"width": 1080, "height": 1920, "fit": "cover"}, 160),
        (720, {"width": 1080, "height": 1920, "fit": "pad"}, 170),
        (2160, {"width": 1080, "height": 1920, "fit": "cover"}, 252),
    ],
)
def test_resizing(height: int, wanted: dict[str, Any], peak: int) -> None:
    assert_close(memory_estimate_bytes(plan("mp4", source(height), **wanted)), peak)


@pytest.mark.parametrize(
    ("quality", "seconds", "peaks"),
    [
        ("draft", 4, (64, 73, 88, 172)),
        ("standard", 4, (99, 107, 117, 193)),
        ("high", 9, (51, 61, 78, 160)),
    ],
)
def test_gifs(quality: str, seconds: float, peaks: tuple[int, ...]) -> None:
    for height, peak in zip(SIZES, peaks, strict=True):
        clip = plan("gif", source(height), start=0, end=seconds, quality=quality)

        assert_close(memory_estimate_bytes(clip), peak)


@pytest.mark.parametrize(
    ("height", "copied", "pictured"),
    [(360, 46, 46), (720, 48, 48), (1080, 51, 63), (2160, 65, 136)],
)
def test_copying_and_thumbnails(height: int, copied: int, pictured: int) -> None:
    assert_close(copy_bytes(source(height)), copied)
    assert_close(thumbnail_bytes(source(height), 640), pictured)


def test_sound_alone_takes_as_little_as_copying() -> None:
    assert memory_estimate_bytes(plan("mp3")) == copy_bytes(FACTS)
