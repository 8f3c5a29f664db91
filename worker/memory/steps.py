"""The steps of a clip, one tool after the other, and the terms of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tasks.media import MediaFacts, VideoFacts
from worker.clip.picture_size import THUMBNAIL_WIDTH
from worker.clip.plan import ClipPlan
from worker.clip.strategy import Mode, Tool
from worker.memory.model import (
    Terms,
    checking_terms,
    copy_terms,
    encode_terms,
    exact_terms,
    looking_terms,
    seconds_made,
    smart_terms,
    sound_terms,
    thumbnail_terms,
)
from worker.memory.work_class import size_made


def clip_steps(plan: ClipPlan) -> Mapping[str, Terms]:
    """Each step by the name of its tool."""
    made = _made(plan)
    steps: dict[str, Terms] = {}
    if plan.strategy.tool is Tool.PYAV:
        steps["cut"] = _cut_terms(plan)
    else:
        steps |= {"look": looking_terms(plan.facts), "ffmpeg": encode_terms(plan)}
        steps["check"] = checking_terms(plan, made)
        if plan.has_side_tracks:
            steps["dress"] = looking_terms(made)
    if plan.output.thumbnail and plan.keeps_picture:
        steps["thumbnail"] = thumbnail_terms(made, THUMBNAIL_WIDTH)
    return steps


def _cut_terms(plan: ClipPlan) -> Terms:
    if not plan.keeps_picture:
        return sound_terms(plan)
    if plan.strategy.mode is Mode.COPY:
        return copy_terms(plan)
    return smart_terms(plan) if plan.copies_pictures else exact_terms(plan)


def _made(plan: ClipPlan) -> MediaFacts:
    """Facts of the clip itself: its pictures are the source's, unless FFmpeg encodes them anew."""
    facts, strategy = plan.facts, plan.strategy
    made = replace(facts, container=plan.container, duration_seconds=seconds_made(plan))
    if facts.video is None or strategy.tool is Tool.PYAV:
        return made
    width, height = size_made(plan, facts.video)
    codec = {"webm": "vp9", "gif": "gif"}.get(plan.container, "h264")
    video = VideoFacts(codec, None, width, height, "yuv420p", 8, facts.video.fps)
    return replace(made, video=video)
