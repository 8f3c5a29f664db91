"""The shape of a job's work: jobs of one shape use memory alike. Pure."""

from __future__ import annotations

from tasks.media import VideoFacts
from worker.clip.gif import gif_output
from worker.clip.picture_size import Size, shape_of
from worker.clip.plan import ClipPlan
from worker.clip.strategy import Mode

# A client's files must not create names without end: these, and "other".
_CODECS = frozenset(
    {"h264", "hevc", "av1", "vp9", "vp8", "prores", "mpeg2video", "mpeg4", "mjpeg", "unknown"}
)
_CLASSES = {0.3: "360p", 0.6: "480p", 1.2: "720p", 2.6: "1080p", 4.5: "1440p", 10.0: "2160p"}


def shape_of_work(plan: ClipPlan) -> str:
    """The name of a clip's shape: its source, its output, and its strategy."""
    video = plan.facts.video
    if plan.strategy.mode is Mode.COPY:
        return f"copy {_source(video)}"
    if video is None or not plan.keeps_picture:
        return "sound"
    done = "smart" if plan.copies_pictures else f"{plan.strategy.tool} encode"
    width, height = size_made(plan, video)
    words = [done, _source(video), "to", plan.container, plan.output.quality]
    words += [_size_class(width * height), f"threads={plan.threads}"]
    return " ".join([*words, f"saving={plan.memory_saving_level}"])


def size_made(plan: ClipPlan, video: VideoFacts) -> Size:
    """The size of the clip's pictures."""
    made = gif_output(plan, video) if plan.container == "gif" else plan
    return shape_of(video, made.output).size


def _source(video: VideoFacts | None) -> str:
    if video is None:
        return "sound"
    codec = video.codec if video.codec in _CODECS else "other"
    depth = "8bit" if video.bit_depth <= 8 else "deep"
    return f"{codec} {depth} {_size_class(video.pixels)}"


def _size_class(pixels: int) -> str:
    return next((name for most, name in _CLASSES.items() if pixels <= most * 1e6), "larger")
