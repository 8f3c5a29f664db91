"""What a job will take of this machine: what admission reserves, and the settings that fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tasks.media import MediaFacts, VideoFacts
from tasks.specs import ClipSpec, Spec
from worker.cutting.way import Tool, Way, way_of
from worker.ffmpeg import CutPlan
from worker.memory.model import (
    MIB,
    PROBE_BYTES,
    YTDLP_DOWNLOAD_BYTES,
    YTDLP_EXTRACT_BYTES,
    copy_bytes,
    memory_estimate_bytes,
    smart_estimate_bytes,
    thumbnail_bytes,
)
from worker.memory.need import Need
from worker.memory.shape import encoding_shape, reading_shape, size_made

Factor = Callable[[str], float]  # by what the estimate of a shape is to be multiplied

GUARD_BYTES = 7 * MIB  # the small process between the worker and the tool
# A tenth above the estimate is within what the model promises; it must still fit.
SPARE_SHARE = 0.12
LEAST_SPARE_BYTES = 8 * MIB
THUMBNAIL_WIDTH = 640
_MOST_THREADS = 2  # more speed a single clip up little, and each takes memory
_NOWHERE = Path("clip")
# A source of which nothing is known is taken for 1080p.
_UNKNOWN = MediaFacts(
    "unknown", 0.0, None, 0, VideoFacts("unknown", None, 1920, 1080, None, 8, None)
)


def uncorrected(shape: str) -> float:
    """The factor of a machine that has learned nothing yet."""
    return 1.0


def need_of(
    spec: Spec,
    facts: MediaFacts | None,
    *,
    budget_bytes: int,
    idle_cores: int = 1,
    joins: bool = True,
    factor: Factor = uncorrected,
) -> Need:
    """The need of a job; `facts` are those of a clip's source, if they are known.

    More threads only while cores are idle and they fit. `joins`: a smart cut is still possible,
    else the whole range is encoded. `factor` corrects the model for a shape by the peaks that
    were seen. Raises NoSuchStream when the source lacks what was asked for.
    """
    if not isinstance(spec, ClipSpec):
        tool_bytes = YTDLP_DOWNLOAD_BYTES if spec.kind == "download" else YTDLP_EXTRACT_BYTES
        return _need(Need(0, model_bytes=tool_bytes, shape=spec.kind), PROBE_BYTES, factor)
    facts = facts or _UNKNOWN
    way = way_of(spec, facts)
    beside_bytes = _beside_bytes(spec, facts, way)
    if way.mode == "copy":
        copying = Need(0, model_bytes=copy_bytes(facts), shape=reading_shape("copy", facts))
        return _need(copying, beside_bytes, factor)
    for threads in range(min(_MOST_THREADS, idle_cores), 0, -1):
        need = _need(_clip(spec, facts, way, threads, joins), beside_bytes, factor)
        if need.memory_bytes <= budget_bytes:
            break
    return need


def _need(model: Need, beside_bytes: int, factor: Factor) -> Need:
    """The model's word corrected, with room for its error and for the job's other steps."""
    estimate = round(model.model_bytes * factor(model.shape))
    spared = max(round(estimate * (1 + SPARE_SHARE)), estimate + LEAST_SPARE_BYTES)
    return replace(
        model, estimate_bytes=estimate, memory_bytes=max(spared, beside_bytes) + GUARD_BYTES
    )


def _beside_bytes(spec: ClipSpec, facts: MediaFacts, way: Way) -> int:
    """What the steps before and after the cut take: the programs that look, and a thumbnail."""
    if not spec.output.thumbnail or facts.video is None:
        return PROBE_BYTES
    made = facts.video
    if way.tool is Tool.FFMPEG and way.mode == "encode":
        width, height = size_made(_plan(spec, facts, way, 1), facts.video)
        codec = {"webm": "vp9", "gif": "gif"}.get(way.container, "h264")
        made = replace(made, codec=codec, width=width, height=height, bit_depth=8, rotation=0)
    picture = thumbnail_bytes(replace(facts, video=made), THUMBNAIL_WIDTH)
    return max(PROBE_BYTES, round(picture * (1 + SPARE_SHARE)))


def _clip(spec: ClipSpec, facts: MediaFacts, way: Way, threads: int, joins: bool) -> Need:
    plan = _plan(spec, facts, way, threads)
    if joins and way.tool is Tool.PROGRAM and way.mode == "auto":
        model, shape = smart_estimate_bytes(plan), encoding_shape("smart", plan)
    else:
        whole = replace(plan, container="mp4") if way.tool is Tool.PROGRAM else plan
        model, shape = memory_estimate_bytes(whole), encoding_shape(f"{way.tool} encode", plan)
    return Need(0, threads, threads, plan.lean, model_bytes=model, shape=shape)


def _plan(spec: ClipSpec, facts: MediaFacts, way: Way, threads: int) -> CutPlan:
    return CutPlan(
        _NOWHERE, _NOWHERE, spec.start, spec.end, facts, spec.output, way.container, threads
    )
