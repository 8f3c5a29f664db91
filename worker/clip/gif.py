"""Animated GIFs: a bounded size and rate, and the frames that wait for their palette. Pure."""

from tasks.media import VideoFacts
from worker.clip.encoding import QUALITIES
from worker.clip.picture_size import shape_of
from worker.clip.plan import ClipPlan

MAX_FPS = 50.0  # players show shorter delays than two hundredths of a second slowly
MAX_QUEUED_BYTES = 96 * 2**20
QUEUED_PIXEL_BYTES = 7  # measured: a picture waits in four bytes a pixel, and not alone


def gif_output(plan: ClipPlan, video: VideoFacts) -> ClipPlan:
    """The plan with the default size and rate of a GIF where the client asked nothing."""
    usual = QUALITIES[plan.output.quality].gif
    asked = plan.output
    if asked.width is None and asked.height is None:
        plan = plan.with_output(width=usual.width)
    fps = asked.fps or min(usual.fps, video.fps or usual.fps)
    return plan.with_output(fps=min(fps, MAX_FPS))


def queued_bytes(plan: ClipPlan, video: VideoFacts) -> int:
    """The frames that wait in memory until one palette for all is known; 0: a palette each.

    Each frame gets a palette of its own where all would take too much, and in memory-saving GIFs.
    """
    gif = gif_output(plan, video)
    width, height = shape_of(video, gif.output).size
    frames = round(gif.seconds * (gif.output.fps or MAX_FPS))
    waiting = frames * width * height * QUEUED_PIXEL_BYTES
    return waiting if waiting <= MAX_QUEUED_BYTES and not plan.memory_saving_level else 0
