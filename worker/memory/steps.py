"""The steps of a job, one tool after the other, and what each of them handles. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tasks.kinds import ClipSpec
from tasks.media import MediaFacts, VideoFacts
from worker.clip.strategy import Tool, Way, way_of
from worker.ffmpeg import CutPlan
from worker.memory.model import (
    Terms,
    copy_terms,
    encode_terms,
    exact_terms,
    looking_terms,
    seconds_made,
    smart_terms,
    thumbnail_terms,
)
from worker.memory.work_class import size_made

THUMBNAIL_WIDTH = 640
_NOWHERE = Path("clip")


def planned(
    spec: ClipSpec, facts: MediaFacts, way: Way, threads: int = 1, lean: int = 0
) -> CutPlan:
    """The clip, as far as memory is concerned."""
    return CutPlan(
        _NOWHERE, _NOWHERE, spec.start, spec.end, facts, spec.output, way.container, threads, lean
    )


def clip_steps(
    spec: ClipSpec, facts: MediaFacts, plan: CutPlan, *, joins: bool
) -> Mapping[str, Terms]:
    """Each step by the name of its tool. `joins`: a smart cut is still possible.

    Raises NoSuchStream when the source lacks what was asked for.
    """
    way = way_of(spec, facts)
    made = _made(facts, plan, way)
    steps: dict[str, Terms] = {}
    if way.tool is Tool.PROGRAM:
        smart = joins and way.mode == "auto"
        steps["cut"] = smart_terms(plan) if smart else exact_terms(plan)
    elif way.mode == "copy":
        steps |= {"ffmpeg": copy_terms(plan), "keyframe": looking_terms(facts)}
        steps["check"] = looking_terms(made)
    else:
        steps |= {"ffmpeg": encode_terms(plan), "check": looking_terms(made)}
    if spec.output.thumbnail and made.video is not None and plan.keeps_picture:
        steps["thumbnail"] = thumbnail_terms(made, THUMBNAIL_WIDTH)
    return steps


def _made(facts: MediaFacts, plan: CutPlan, way: Way) -> MediaFacts:
    """The clip itself: its pictures are as its source's, unless it is encoded anew."""
    made = replace(facts, container=plan.container, duration_seconds=seconds_made(plan))
    if facts.video is None or way.tool is Tool.PROGRAM or way.mode == "copy":
        return made
    width, height = size_made(plan, facts.video)
    codec = {"webm": "vp9", "gif": "gif"}.get(plan.container, "h264")
    video = VideoFacts(codec, None, width, height, "yuv420p", 8, facts.video.fps)
    return replace(made, video=video)
