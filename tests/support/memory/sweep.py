"""The clips of the sweep: other sources, ranges and sizes than the calibration's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tasks.specs import Output
from worker.calibration.samples import SIZES, Sample
from worker.calibration.trial import Trial

HDR = "transfer=arib-std-b67:colorprim=bt2020:colormatrix=bt2020nc"
HEIGHTS = tuple(SIZES)
QUALITIES = ("draft", "standard", "high")
CODECS = ("hevc", "av1", "vp9")
START, END = 0.31, 2.27  # with a keyframe between, at two seconds


def all_trials() -> list[Trial]:
    """Sizes, qualities, threads, codecs and modes, combined, and sources that are hard."""
    return list(dict.fromkeys([*_encodes(), *_cuts(), *_codecs(), *_outputs(), *_hard()]))


def short_trials() -> list[Trial]:
    """A dozen small trials, of every kind."""
    return [
        trial(sized(360), quality="high"),
        trial(sized(720), quality="draft", threads=2),
        trial(sized(720), saving=2),
        trial(sized(720), "auto"),
        trial(sized(720), "copy", thumbnail=True),
        trial(sized(720), container="webm"),
        trial(sized(720), container="gif", width=320),
        trial(sized(720, "hevc"), "auto"),
        trial(sized(720, "vp9"), "auto"),
        trial(sized(720, "av1"), "auto"),
        trial(sized(720, more="-refs 12 -bf 2"), "auto"),
        trial(sized(720, pix_fmt="yuv444p"), quality="draft"),
        trial(sized(360, "prores", pix_fmt="yuv422p10le"), "auto"),
        trial(sized(720), container="m4a"),
    ]


def sized(height: int, codec: str = "h264", **more: object) -> Sample:
    """A video of a usual size, at another frame rate than the calibration's."""
    width, height = SIZES[height]
    values: dict[str, object] = {"fps": 30, "seconds": 2.6, **more}
    return Sample(codec, width, height, **values)  # type: ignore[arg-type]


def trial(
    source: Sample, mode: str = "encode", threads: int = 1, saving: int = 0, **output: object
) -> Trial:
    """One clip of the sweep."""
    asked = Output(**output)  # type: ignore[arg-type]
    return Trial(source, mode, asked, threads, saving, START, END)


def _encodes() -> Iterator[Trial]:
    for height, quality, threads in product(HEIGHTS, QUALITIES, (1, 2)):
        yield trial(sized(height), quality=quality, threads=threads)
    for height, quality, saving in product(HEIGHTS, QUALITIES[1:], (1, 2)):
        yield trial(sized(height), quality=quality, saving=saving)


def _cuts() -> Iterator[Trial]:
    for height in HEIGHTS:
        yield trial(sized(height), "copy", thumbnail=True)
        for threads in (1, 2):
            yield trial(sized(height), "auto", threads=threads)
    for height in HEIGHTS[:3]:
        yield trial(sized(height), "auto", quality="high")


def _codecs() -> Iterator[Trial]:
    for codec, height in product(CODECS, (720, 1080)):
        yield trial(sized(height, codec), quality="standard")
        yield trial(sized(height, codec, pix_fmt="yuv420p10le"), quality="draft", width=854)
        for threads in (1, 2):
            yield trial(sized(height, codec), "auto", threads=threads)
    for codec in ("mpeg2video", "mpeg4", "vp8", "mjpeg"):
        yield trial(sized(720, codec), quality="standard", threads=2)


def _outputs() -> Iterator[Trial]:
    for height, threads in product(HEIGHTS[:3], (1, 2)):
        yield trial(sized(height), container="webm", quality="high", threads=threads)
    yield trial(sized(720), container="gif", quality="draft")
    yield trial(sized(1080), container="gif", quality="high")
    yield trial(sized(1080), container="mp3")
    yield trial(sized(1080), width=1080, height=1920, fit="cover")
    yield trial(sized(720), width=1080, height=1920, fit="pad")
    yield trial(sized(2160), width=1280)
    yield trial(sized(2160), threads=2, width=1280)
    yield trial(sized(2160), threads=2, quality="draft", width=640)
    yield trial(sized(1080, "hevc"), threads=2, quality="draft", width=640)
    yield trial(sized(1080), fps=15, quality="high")


def _hard() -> Iterator[Trial]:
    hdr = f"-x265-params log-level=none:{HDR}"
    fields = "-flags +ilme+ildct"
    for source in (
        sized(1080, more="-refs 16 -bf 3"),
        sized(1080, pix_fmt="yuv422p"),
        sized(1080, pix_fmt="yuv444p"),
        sized(1080, pix_fmt="yuv420p10le"),
        Sample("h264", 1438, 1078, seconds=2.6),
        Sample("h264", 1080, 1920, seconds=2.6),
        sized(1080, more="-qp 8"),
        sized(1080, more="-g 600"),
        sized(1080, fps=60),
        sized(1080, more=fields),
        sized(1080, more="-f mpegts"),
        sized(1080, "hevc", more="-x265-params log-level=none:ref=6:bframes=4"),
        sized(720, "prores", pix_fmt="yuv422p10le"),
        sized(1080, "hevc", pix_fmt="yuv420p10le", more=hdr),
    ):
        yield trial(source, "auto")
        yield trial(source, quality="draft", threads=2)
    yield trial(sized(1080, more=fields), quality="draft", width=640)
    hours = Sample(width=320, height=180, seconds=15.0, repeated=799)
    for mode in ("copy", "auto", "encode"):
        yield Trial(hours, mode, Output(quality="draft"), start=6001.3, end=6008.9)
    for mode in ("copy", "auto"):
        yield Trial(hours, mode, start=100.3, end=2400.9)
