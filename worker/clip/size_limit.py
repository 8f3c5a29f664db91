"""How large the file of a clip may become: far above real clips, far below harm. Pure."""

from __future__ import annotations

import math

from config.values import MIB
from worker.clip.encoding import HIGHEST_SOUND_RATE, OTHER_CHANNELS
from worker.clip.picture_size import shape_of
from worker.clip.plan import ClipPlan

_FILE_SPARE_BYTES = 16 * MIB  # heads and indexes
_LEAST_RATE = 60.0  # where the source declares no rate, or only its mean
THUMBNAIL_BYTES = 32 * MIB


def clip_bytes(plan: ClipPlan) -> int:
    """Bytes of the whole source, and of the clip's pictures without any compression."""
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


def _encoded_sound_bytes(plan: ClipPlan) -> int:
    """Three times the highest bit rate of our settings, for each channel."""
    channels = [max(track.channels, OTHER_CHANNELS) for track in plan.facts.audio]
    bytes_a_second = 3 * HIGHEST_SOUND_RATE / 8 * (sum(channels) or OTHER_CHANNELS)
    return round(plan.seconds * bytes_a_second)
