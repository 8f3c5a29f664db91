"""Animated GIFs: a bounded size and rate, and what waits for their palette. Pure."""

from tasks.media import VideoFacts
from worker.clip.picture_size import shape_of
from worker.clip.plan import CutPlan

# GIFs are some twenty times larger than video; these keep five seconds at a few megabytes. Their
# clock counts hundredths of a second, and these rates are whole numbers of them.
_DEFAULTS = {"draft": (320, 10.0), "standard": (480, 12.5), "high": (640, 20.0)}
MAX_FPS = 50.0  # players show shorter delays than two hundredths of a second slowly
MAX_QUEUED_BYTES = 96 * 2**20
QUEUED_PIXEL_BYTES = 7  # measured: a picture waits in four bytes a pixel, and not alone


def gif_wishes(plan: CutPlan, video: VideoFacts) -> CutPlan:
    """The plan with the size and rate that a GIF gets where nothing was asked."""
    width, fps = _DEFAULTS[plan.output.quality]
    wanted = plan.output
    if wanted.width is None and wanted.height is None:
        plan = plan.with_output(width=width)
    return plan.with_output(fps=min(wanted.fps or min(fps, video.fps or fps), MAX_FPS))


def queued_bytes(plan: CutPlan, video: VideoFacts) -> int:
    """What waits in memory until one palette for all frames is known; 0 where that is too much.

    A lean GIF gets a palette for each frame, too.
    """
    wished = gif_wishes(plan, video)
    width, height = shape_of(video, wished.output).size
    frames = round(wished.seconds * (wished.output.fps or MAX_FPS))
    waiting = frames * width * height * QUEUED_PIXEL_BYTES
    return waiting if waiting <= MAX_QUEUED_BYTES and not plan.lean else 0
