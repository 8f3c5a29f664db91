"""What a job will take of this machine: what admission reserves, and the settings that fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from config.machine import cpu_count
from tasks.kinds import ClipSpec
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Spec
from worker.clip.strategy import Tool, Way, way_of
from worker.ffmpeg import CutPlan
from worker.ffmpeg.encoders import leanest
from worker.memory.model import JOINED_CODECS, MIB, site_terms
from worker.memory.need import ResourceNeed
from worker.memory.steps import clip_steps, planned
from worker.memory.table import Table, shipped_table
from worker.memory.work_class import encoding_shape, reading_shape

Factor = Callable[[str], float]  # by what the estimate of a shape is to be multiplied

GUARD_BYTES = 7 * MIB  # the small process between the worker and the tool
# A tenth above the estimate is within what the model promises; it must still fit.
SPARE_SHARE = 0.12
LEAST_SPARE_BYTES = 8 * MIB
# What may come on top, and not with every job: the programs look at strange files, some sites need
# a JavaScript runtime, and some downloads are joined of picture and sound by FFmpeg.
LEAST_BYTES = {"clip": 64 * MIB, "extract": 125 * MIB, "download": 130 * MIB}
_MOST_THREADS = 2  # more speed a single clip up little, and each takes memory
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
    cores: int | None = None,
    factor: Factor = uncorrected,
    table: Table | None = None,
) -> ResourceNeed:
    """The need of a job; `facts` are those of a clip's source, if they are known.

    More threads only while cores are idle and they fit; leaner settings, as little as is needed,
    where they let more such jobs run side by side on the machine's `cores`, or this one. `joins`: a
    smart cut is still possible, else the whole range is encoded. `factor` corrects the model for
    a shape by the peaks that were seen; it never makes a job that fits one that does not, so what
    was learned wrongly can be learned anew. Raises NoSuchStream when the source lacks what was
    asked for.
    """
    table = table or shipped_table()
    if not isinstance(spec, ClipSpec):
        model_bytes = table.bytes_of(site_terms(spec.kind))
        model = ResourceNeed(0, model_bytes=model_bytes, shape=f"{spec.kind} by {table.digest}")
        return _fitting(_corrected(model, spec.kind, factor), spec.kind, budget_bytes)

    def need(threads: int, lean: int) -> ResourceNeed:
        model = _clip(spec, facts or _UNKNOWN, threads, lean, joins, table)
        return _corrected(model, spec.kind, factor)

    steps = range(_last_lean_step(spec, facts or _UNKNOWN, joins) + 1)
    chosen = _chosen(need, steps, idle_cores, budget_bytes, cores or cpu_count())
    return _fitting(chosen, spec.kind, budget_bytes)


def _chosen(
    need: Callable[[int, int], ResourceNeed],
    steps: range,
    idle_cores: int,
    budget_bytes: int,
    cores: int,
) -> ResourceNeed:
    """The least lean of those of which most can run side by side; the leanest if none fits.

    Very lean for one more is right as well: it costs a part of a file's size, where waiting costs
    the time of a whole clip.
    """
    for threads in range(min(_MOST_THREADS, idle_cores), 1, -1):
        usual = need(threads, 0)
        if usual.memory_bytes <= budget_bytes:
            return usual  # cores are idle: there is nothing beside it to save for
    single = [need(1, lean) for lean in steps]
    at_once = [min(cores, budget_bytes // found.memory_bytes) for found in single]
    return single[at_once.index(max(at_once))] if any(at_once) else single[-1]


def _last_lean_step(spec: ClipSpec, facts: MediaFacts, joins: bool) -> int:
    """How far settings can be made leaner; a cut that copies is as lean as it gets."""
    way = way_of(spec, facts)
    if way.mode == "copy" or (_may_join(facts, joins) and way.mode == "auto"):
        return 0
    return leanest(planned(spec, facts, way))


def _may_join(facts: MediaFacts, joins: bool) -> bool:
    video = facts.video
    return joins and (video is None or (video.codec in JOINED_CODECS and not video.interlaced))


def _clip(
    spec: ClipSpec, facts: MediaFacts, threads: int, lean: int, joins: bool, table: Table
) -> ResourceNeed:
    way = way_of(spec, facts)
    plan = planned(spec, facts, way, threads, lean)
    steps = clip_steps(spec, facts, plan, joins=joins)
    model_bytes = max(map(table.bytes_of, steps.values()))
    if way.mode == "copy":
        shape = f"{reading_shape('copy', facts)} by {table.digest}"
        return ResourceNeed(0, model_bytes=model_bytes, shape=shape)
    shape = f"{_shape(plan, way, joins)} by {table.digest}"
    return ResourceNeed(0, threads, threads, lean, model_bytes=model_bytes, shape=shape)


def _shape(plan: CutPlan, way: Way, joins: bool) -> str:
    smart = way.tool is Tool.PROGRAM and way.mode == "auto" and _may_join(plan.facts, joins)
    return encoding_shape("smart" if smart else f"{way.tool} encode", plan)


def _corrected(model: ResourceNeed, kind: str, factor: Factor) -> ResourceNeed:
    """The model's word corrected, with room for its error and for what may come on top."""
    estimate = round(model.model_bytes * factor(model.shape))
    return replace(model, estimate_bytes=estimate, memory_bytes=_reserved_bytes(estimate, kind))


def _reserved_bytes(estimate: int, kind: str) -> int:
    spared = max(round(estimate * (1 + SPARE_SHARE)), estimate + LEAST_SPARE_BYTES)
    return max(spared, LEAST_BYTES[kind]) + GUARD_BYTES


def _fitting(need: ResourceNeed, kind: str, budget_bytes: int) -> ResourceNeed:
    """All there is for what would fit by the model alone: it runs, and its peak is seen."""
    fits = _reserved_bytes(need.model_bytes, kind) <= budget_bytes < need.memory_bytes
    return replace(need, memory_bytes=budget_bytes) if fits else need
