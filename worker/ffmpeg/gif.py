"""Animated GIFs: a palette made in the same pass."""

from typing import Any

import ffmpeg

from tasks.media import VideoFacts
from worker.clip.encoding import QUALITIES
from worker.clip.gif import queued_bytes
from worker.clip.plan import ClipPlan


def paletted(stream: Any, plan: ClipPlan, video: VideoFacts) -> Any:
    """One palette for the whole GIF while its frames fit in memory, else one for each frame."""
    one = queued_bytes(plan, video) > 0
    halves = stream.filter_multi_output("split")
    palette = halves[0].filter("palettegen", stats_mode="full" if one else "single")
    dither = QUALITIES[plan.output.quality].gif.dither
    return ffmpeg.filter([halves[1], palette], "paletteuse", dither=dither, new=int(not one))
