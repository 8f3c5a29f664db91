"""What a job will take of this machine: the estimate that admission reserves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tasks.media import MediaFacts, VideoFacts
from tasks.specs import ClipSpec, Spec
from worker.cutting.way import Tool, Way, way_of
from worker.ffmpeg import CutPlan
from worker.memory.model import (
    YTDLP_DOWNLOAD_BYTES,
    YTDLP_EXTRACT_BYTES,
    copy_bytes,
    memory_estimate_bytes,
    smart_estimate_bytes,
)
from worker.memory.need import Need

GUARD_BYTES = 7 * 1024**2  # the small process between the worker and the tool
_MOST_THREADS = 2  # more speed a single clip up little, and each takes memory
_NOWHERE = Path("clip")
# A source of which nothing is known is taken for 1080p.
_UNKNOWN = MediaFacts(
    "unknown", 0.0, None, 0, VideoFacts("unknown", None, 1920, 1080, None, 8, None)
)


def need_of(
    spec: Spec,
    facts: MediaFacts | None,
    *,
    budget_bytes: int,
    idle_cores: int = 1,
    joins: bool = True,
) -> Need:
    """The need of a job; `facts` are those of a clip's source, if they are known.

    More threads only while cores are idle and they fit. `joins`: a smart cut is still possible,
    else the whole range is encoded. Raises NoSuchStream when the source lacks
    what was asked for.
    """
    if not isinstance(spec, ClipSpec):
        tool_bytes = YTDLP_DOWNLOAD_BYTES if spec.kind == "download" else YTDLP_EXTRACT_BYTES
        return Need(tool_bytes + GUARD_BYTES)
    facts = facts or _UNKNOWN
    way = way_of(spec, facts)
    if way.mode == "copy":
        return Need(copy_bytes(facts) + GUARD_BYTES)
    for threads in range(min(_MOST_THREADS, idle_cores), 1, -1):
        need = Need(_clip_bytes(spec, facts, way, threads, joins), threads, threads)
        if need.memory_bytes <= budget_bytes:
            return need
    return Need(_clip_bytes(spec, facts, way, 1, joins), 1, 1)


def _clip_bytes(spec: ClipSpec, facts: MediaFacts, way: Way, threads: int, joins: bool) -> int:
    plan = CutPlan(
        _NOWHERE, _NOWHERE, spec.start, spec.end, facts, spec.output, way.container, threads
    )
    if joins and way.tool is Tool.PROGRAM and way.mode == "auto":
        return smart_estimate_bytes(plan) + GUARD_BYTES
    whole = replace(plan, container="mp4") if way.tool is Tool.PROGRAM else plan
    return memory_estimate_bytes(whole) + GUARD_BYTES
