"""The class of work that a job belongs to: jobs of one shape take memory alike. Pure."""

from __future__ import annotations

from tasks.media import MediaFacts, VideoFacts
from worker.clip.gif import gif_wishes
from worker.clip.picture_size import Size, shape_of
from worker.clip.plan import CutPlan

# What a client sends must not make names without end: these, and "other".
_CODECS = frozenset(
    {"h264", "hevc", "av1", "vp9", "vp8", "prores", "mpeg2video", "mpeg4", "mjpeg", "unknown"}
)
_CLASSES = {0.3: "360p", 0.6: "480p", 1.2: "720p", 2.6: "1080p", 4.5: "1440p", 10.0: "2160p"}


def reading_shape(way: str, facts: MediaFacts) -> str:
    """Of what reads packets and decodes none."""
    return f"{way} {_source(facts.video)}"


def encoding_shape(way: str, plan: CutPlan) -> str:
    """Of what makes new pictures of a source's."""
    video = plan.facts.video
    if video is None or not plan.keeps_picture:
        return f"{way} sound"
    width, height = size_made(plan, video)
    words = [way, _source(video), "to", plan.container, plan.output.quality]
    words += [_size_class(width * height), f"threads={plan.threads}", f"lean={plan.lean}"]
    return " ".join(words)


def size_made(plan: CutPlan, video: VideoFacts) -> Size:
    """How big the clip's pictures get."""
    wished = gif_wishes(plan, video) if plan.container == "gif" else plan
    return shape_of(video, wished.output).size


def _source(video: VideoFacts | None) -> str:
    if video is None:
        return "sound"
    codec = video.codec if video.codec in _CODECS else "other"
    depth = "8bit" if video.bit_depth <= 8 else "deep"
    return f"{codec} {depth} {_size_class(video.pixels)}"


def _size_class(pixels: int) -> str:
    return next((name for most, name in _CLASSES.items() if pixels <= most * 1e6), "larger")
