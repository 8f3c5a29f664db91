"""How large the file of a clip can become: far above what is made, far below harm. Pure."""

from __future__ import annotations

import math

from worker.clip.picture_size import shape_of
from worker.clip.plan import CutPlan

MIB = 1024**2
_FILE_SPARE_BYTES = 16 * MIB  # heads and indexes
_LEAST_RATE = 60.0  # where the source does not know its own, or only its mean
THUMBNAIL_BYTES = 32 * MIB


def clip_bytes(plan: CutPlan) -> int:
    """How large a clip can become: all of its source, and its pictures without any compression."""
    video = plan.facts.video
    if video is None or not plan.keeps_picture:
        return plan.facts.size_bytes + _encoded_sound_bytes(plan) + _FILE_SPARE_BYTES
    width, height = shape_of(video, plan.output).size
    pixels = max(width * height, video.pixels)
    rate = max(video.fps or 0.0, plan.output.fps or 0.0, _LEAST_RATE)
    picture_bytes = pixels * (3 if video.bit_depth > 8 else 1.5)
    pictures = math.ceil(plan.seconds * rate) + 1
    return (
        plan.facts.size_bytes
        + round(pictures * picture_bytes)
        + _encoded_sound_bytes(plan)
        + _FILE_SPARE_BYTES
    )


def _encoded_sound_bytes(plan: CutPlan) -> int:
    """At 1 Mbit/s for each track, three times what any of our settings writes."""
    return round(plan.seconds * 125_000) * max(1, len(plan.facts.audio))
