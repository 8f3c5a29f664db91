"""The memory model beside the peaks it was fitted to, in MiB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.values import MIB
from tasks.media import ColourFacts, MediaFacts
from tests.unit.worker.clip.values import FACTS, plan, video
from worker.clip.strategy import Mode, Tool
from worker.memory.model import (
    Terms,
    copy_terms,
    encode_terms,
    exact_terms,
    smart_terms,
    thumbnail_terms,
)
from worker.memory.steps import clip_steps
from worker.memory.table import shipped_table

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


def assert_close(terms: Terms, peak: int) -> None:
    estimate = shipped_table().bytes_of(terms) / MIB
    assert 0.9 * peak <= estimate <= 1.35 * peak, (estimate, peak)


def rows(table: dict[Any, tuple[int, ...]]) -> list[Any]:
    return [
        (*how, height, peak)
        for how, peaks in table.items()
        for height, peak in zip(SIZES, peaks, strict=True)
    ]


@pytest.mark.parametrize(("container", "quality", "threads", "height", "peak"), rows(ENCODED))
def test_encoding(container: str, quality: str, threads: int, height: int, peak: int) -> None:
    clip = plan(container, source(height), quality=quality, threads=threads)

    assert_close(encode_terms(clip), peak)


@pytest.mark.parametrize(("quality", "threads", "height", "peak"), rows(SMART))
def test_the_smart_cut(quality: str, threads: int, height: int, peak: int) -> None:
    clip = plan("mp4", source(height), quality=quality, threads=threads)

    assert_close(smart_terms(clip), peak)


@pytest.mark.parametrize(("quality", "threads", "height", "peak"), rows(EXACT))
def test_the_exact_encode(quality: str, threads: int, height: int, peak: int) -> None:
    clip = plan("mp4", source(height), quality=quality, threads=threads)

    assert_close(exact_terms(clip), peak)


@pytest.mark.parametrize(("codec", "depth", "hdr", "height", "width", "threads", "peak"), DECODED)
def test_decoding(
    codec: str, depth: int, hdr: bool, height: int, width: int | None, threads: int, peak: int
) -> None:
    colour = ColourFacts(transfer="smpte2084" if hdr else None)
    facts = source(height, codec=codec, bit_depth=depth, colour=colour)
    clip = plan("mp4", facts, quality="draft", width=width, threads=threads)

    assert_close(encode_terms(clip), peak)


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
    assert_close(encode_terms(plan("mp4", source(height), **wanted)), peak)


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

        assert_close(encode_terms(clip), peak)


@pytest.mark.parametrize(
    ("height", "copied", "pictured"),
    [(360, 42, 41), (720, 47, 47), (1080, 57, 62), (2160, 109, 149)],
)
def test_copying_and_thumbnails(height: int, copied: int, pictured: int) -> None:
    assert_close(copy_terms(plan("mp4", source(height))), copied)
    assert_close(thumbnail_terms(source(height), 640), pictured)


def test_sound_alone_takes_as_much_whatever_its_pictures() -> None:
    small, large = (
        clip_steps(plan("m4a", it, tool=Tool.PYAV, mode=Mode.SMART))
        for it in (source(360), source(2160))
    )
    assert small == large
    assert small["cut"].keys() == {"sound", "source index", "clip index"}


def test_each_reference_of_a_source_takes_memory() -> None:
    few, many = (plan("mp4", source(1080, references=count)) for count in (1, 16))
    for terms in (encode_terms, smart_terms):
        saved = shipped_table().bytes_of(terms(many)) - shipped_table().bytes_of(terms(few))
        assert 40 * MIB < saved < 100 * MIB


def test_a_codec_that_nobody_has_measured_is_taken_for_the_hungriest() -> None:
    unknown, known = (encode_terms(plan("mp4", source(1080, codec=it))) for it in ("xyz", "av1"))
    assert shipped_table().bytes_of(unknown) >= shipped_table().bytes_of(known)


def test_colours_and_depth_make_decoded_pictures_larger() -> None:
    sizes = [
        shipped_table().bytes_of(encode_terms(plan("mp4", source(1080, **form))))
        for form in (
            {"pix_fmt": "yuv420p"},
            {"pix_fmt": "yuv422p"},
            {"pix_fmt": "yuv444p"},
            {"pix_fmt": "yuv444p10le", "bit_depth": 10},
        )
    ]
    assert sizes == sorted(set(sizes))
