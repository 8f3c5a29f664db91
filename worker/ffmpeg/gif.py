"""Animated GIFs: a palette made in the same pass."""

from typing import Any

import ffmpeg

from tasks.media import VideoFacts
from worker.clip.gif import queued_bytes
from worker.clip.plan import CutPlan

_DITHER = {"draft": "bayer", "standard": "bayer", "high": "sierra2_4a"}


def paletted(stream: Any, plan: CutPlan, video: VideoFacts) -> Any:
    """One palette for the whole GIF while its frames fit in memory, else one for each frame."""
    one = queued_bytes(plan, video) > 0
    halves = stream.filter_multi_output("split")
    palette = halves[0].filter("palettegen", stats_mode="full" if one else "single")
    dither = _DITHER[plan.output.quality]
    return ffmpeg.filter([halves[1], palette], "paletteuse", dither=dither, new=int(not one))
