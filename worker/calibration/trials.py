"""Which clips `clipmill calibrate` makes: enough of each sort to fit every term of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.specs import Output
from worker.calibration.samples import SIZES, Sample
from worker.calibration.trial import Trial

QUALITIES = ("draft", "standard", "high")
HDR = "transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc"
FIELDS = "-flags +ilme+ildct"
STREAM = "-f mpegts"
DEEP_CODECS = ("hevc", "av1", "vp9")
COPIED_CODECS = ("hevc", "av1", "vp9", "mpeg4", "mpeg2video")  # beside H.264


def sample(height: int = 1080, codec: str = "h264", **more: Any) -> Sample:
    """A video of a usual size."""
    width, height = SIZES[height]
    return Sample(codec, width, height, **more)


def trial(
    source: Sample, mode: str = "encode", threads: int = 1, saving: int = 0, **output: Any
) -> Trial:
    """One clip of a video; `output` as a client would send it."""
    return Trial(source, mode, Output(**output), threads, saving)


def small(source: Sample, threads: int = 1) -> Trial:
    """A small clip of a large source shows the memory of the decoder alone."""
    return trial(source, threads=threads, quality="draft", width=320)


def quick_trials() -> list[Trial]:
    """Trials of a few minutes: no larger than 1080p, except where size matters most."""
    sizes = (360, 1080)
    return [
        *(small(sample(height)) for height in (*sizes, 2160)),
        *(small(sample(height), threads=2) for height in (1080, 2160)),
        small(sample(codec="hevc"), threads=2),
        *(trial(sample(height), quality=q) for height in sizes for q in QUALITIES),
        *(trial(sample(), threads=2, quality=q) for q in QUALITIES),
        *(trial(sample(), saving=saving, quality=q) for q in QUALITIES[1:] for saving in (1, 2)),
        *(trial(sample(height), container="webm") for height in sizes),
        trial(sample(), threads=2, container="webm"),
        trial(sample(), container="gif"),
        trial(sample(), container="gif", saving=1),
        trial(sample(), container="mp3"),
        *(trial(sample(height), "copy", thumbnail=True) for height in (*sizes, 2160)),
        *(trial(sample(codec=codec), "copy") for codec in COPIED_CODECS),
        *_long(),
        *_smart(sizes),
        *_exact(),
        *_decoding((1080,)),
        *_shaping(1080),
    ]


def full_trials() -> list[Trial]:
    """The quick trials, and all sizes of all codecs that matter."""
    more = (720, 2160)
    return [
        *quick_trials(),
        small(sample(720)),
        *(trial(sample(height), quality=q) for height in more for q in QUALITIES),
        *(trial(sample(h), threads=2, quality=q) for h in more for q in QUALITIES),
        *(
            trial(sample(height), saving=saving, quality=q)
            for height in more for q in QUALITIES[1:] for saving in (1, 2)
        ),
        *(trial(sample(height), container="webm", threads=t) for height in more for t in (1, 2)),
        *(trial(sample(height), container="gif") for height in (720, 2160)),
        trial(sample(720), "copy", thumbnail=True),
        *_smart(more),
        *(trial(sample(2160, "hevc"), "auto", quality=q) for q in QUALITIES),
        *_decoding((2160,)),
        *_shaping(2160),
    ]  # fmt: skip


def _long() -> list[Trial]:
    """Videos of an hour and a half: MP4 lists all packets, of the source and of a long clip."""
    source = Sample(width=160, height=90, seconds=20.0, repeated=269)
    short, whole = Output(quality="draft"), Output()
    return [
        Trial(source, "copy", whole),
        Trial(source, "encode", short),
        *(Trial(source, mode, whole, start=1.3, end=5000.7) for mode in ("copy", "auto")),
    ]


def _smart(heights: Sequence[int]) -> list[Trial]:
    """Cuts that copy; more references mean more pictures to decode with."""
    many = sample(more="-refs 16 -bf 2")
    return [
        *(trial(sample(height), "auto", quality=q) for height in heights for q in QUALITIES[1:]),
        *(trial(sample(height), "auto", threads=2) for height in heights),
        *(trial(sample(h, c), "auto") for h in heights for c in ("vp9", "av1")),
        *(trial(sample(max(heights), c), "auto", threads=2) for c in ("vp9", "av1")),
        *([trial(many, "auto"), small(many)] if 1080 in heights else []),
    ]


def _exact() -> list[Trial]:
    """The PyAV program's full encode: HEVC is not joined, and streams without an index are not
    left to FFmpeg."""
    source, small = sample(codec="hevc"), sample(360, "hevc")
    return [
        *(trial(source, "auto", quality=q) for q in QUALITIES),
        *(trial(small, "auto", quality=q) for q in QUALITIES),
        *(trial(source, "auto", threads=2, quality=q) for q in QUALITIES),
        *(
            trial(source, "auto", saving=saving, quality=q)
            for q in QUALITIES[1:]
            for saving in (1, 2)
        ),
        *(trial(sample(height, more=STREAM), quality="draft") for height in (360, 1080, 2160)),
        *(trial(sample(more=FIELDS), "auto", quality=q) for q in QUALITIES),
    ]


def _decoding(heights: Sequence[int]) -> list[Trial]:
    """The decoders, with small pictures to encode."""
    deep = [sample(h, c, pix_fmt="yuv420p10le") for h in heights for c in DEEP_CODECS]
    plain = [sample(h, c) for h in heights for c in (*DEEP_CODECS, "vp8", "mpeg2video", "mpeg4")]
    return [
        *(small(source) for source in (*deep, *plain)),
        *(small(sample(h, "av1"), 2) for h in heights),
        small(sample(codec="prores", pix_fmt="yuv422p10le")),
        small(sample(codec="mjpeg", pix_fmt="yuvj422p")),
    ]


def _shaping(height: int) -> list[Trial]:
    """The filters between decoder and encoder."""
    bright = sample(
        height, "hevc", pix_fmt="yuv420p10le", more=f"-x265-params log-level=none:{HDR}"
    )
    return [
        trial(sample(height, pix_fmt="yuv444p"), quality="draft"),
        trial(sample(height, "hevc", pix_fmt="yuv420p10le"), quality="draft"),
        trial(bright, quality="draft"),
        *(trial(sample(height, more=FIELDS), quality=q) for q in QUALITIES),
        small(sample(height, more=FIELDS)),
    ]
