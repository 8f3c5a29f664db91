"""The need of a job: what admission reserves, and the settings that fit the reservation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from config.machine import cpu_count
from config.values import MIB
from tasks.media import MediaFacts, VideoFacts
from worker.clip.encoding import last_saving_level
from worker.clip.plan import ClipPlan
from worker.clip.strategy import Mode
from worker.memory.capacity import Capacity, Factor
from worker.memory.model import Terms, site_terms
from worker.memory.need import ResourceNeed
from worker.memory.steps import clip_steps
from worker.memory.table import Table
from worker.memory.work_class import shape_of_work

GUARD_BYTES = 7 * MIB  # the small process between the worker and the tool
# The model promises peaks up to a tenth above the estimate; they must still fit.
SPARE_SHARE = 0.12
LEAST_SPARE_BYTES = 8 * MIB
_MOST_THREADS = 2  # more threads speed up a single clip little, and each takes memory
# A source without known facts is estimated as 1080p.
UNKNOWN_MEDIA = MediaFacts(
    "unknown", 0.0, None, 0, VideoFacts("unknown", None, 1920, 1080, None, 8, None)
)


def estimate_clip(plan: ClipPlan, least_bytes: int, capacity: Capacity) -> ResourceNeed:
    """The need of a clip, by its plan alone.

    More threads only while cores are idle and the memory fits. Memory-saving settings, at the
    lowest level that is enough, where more such jobs can then run side by side on the machine's
    cores, or this one fits at all. `least_bytes`: see `estimate_work`.
    """

    def need(threads: int, memory_saving_level: int) -> ResourceNeed:
        tuned = plan.tuned(threads, memory_saving_level)
        return _corrected(_modelled(tuned, capacity.table), least_bytes, capacity.factor)

    chosen = _chosen(need, _saving_levels(plan), capacity)
    return _fitting(chosen, least_bytes, capacity.budget_bytes)


def estimate_site(kind: str, least_bytes: int, capacity: Capacity) -> ResourceNeed:
    """The need of a job that asks a site. `least_bytes`: see `estimate_work`."""
    return estimate_work(kind, [site_terms(kind)], least_bytes, capacity)


def estimate_work(
    shape: str, steps: Iterable[Terms], least_bytes: int, capacity: Capacity
) -> ResourceNeed:
    """The need of tools that run one after the other; `shape` names the factor that corrects it.

    `least_bytes` are a minimum for what only some jobs use on top. A factor never excludes a job
    that would fit without it, so that a wrong factor is corrected by the job's peak.
    """
    table = capacity.table
    model_bytes = max(map(table.bytes_of, steps))
    model = ResourceNeed(0, model_bytes=model_bytes, shape=f"{shape} by {table.digest}")
    corrected = _corrected(model, least_bytes, capacity.factor)
    return _fitting(corrected, least_bytes, capacity.budget_bytes)


def _chosen(
    need: Callable[[int, int], ResourceNeed], levels: range, capacity: Capacity
) -> ResourceNeed:
    """The lowest saving level at which most jobs run side by side; the highest if none fits.

    A high level for one more job is right as well: it costs a part of a file's size, and waiting
    costs the time of a whole clip.
    """
    budget_bytes, cores = capacity.budget_bytes, capacity.cores or cpu_count()
    for threads in range(min(_MOST_THREADS, capacity.idle_cores), 1, -1):
        usual = need(threads, 0)
        if usual.memory_bytes <= budget_bytes:
            return usual  # cores are idle: no other job needs the memory
    single = [need(1, level) for level in levels]
    at_once = [min(cores, budget_bytes // found.memory_bytes) for found in single]
    return single[at_once.index(max(at_once))] if any(at_once) else single[-1]


def _saving_levels(plan: ClipPlan) -> range:
    """The possible memory-saving levels; a cut that copies has the usual one alone."""
    if plan.copies_pictures or not plan.keeps_picture:
        return range(1)
    return range(last_saving_level(plan.container, plan.output.quality) + 1)


def _modelled(plan: ClipPlan, table: Table) -> ResourceNeed:
    """The prediction of the model for a tuned plan."""
    model_bytes = max(map(table.bytes_of, clip_steps(plan).values()))
    shape = f"{shape_of_work(plan)} by {table.digest}"
    if plan.strategy.mode is Mode.COPY:
        return ResourceNeed(0, model_bytes=model_bytes, shape=shape)
    return ResourceNeed(
        0,
        plan.threads,
        cores=plan.threads,
        memory_saving_level=plan.memory_saving_level,
        model_bytes=model_bytes,
        shape=shape,
    )


def _corrected(model: ResourceNeed, least_bytes: int, factor: Factor) -> ResourceNeed:
    """The prediction corrected by its factor, with a margin for its error and `least_bytes`."""
    expected = round(model.model_bytes * factor(model.shape))
    memory_bytes = _reserved_bytes(expected, least_bytes)
    return replace(model, estimate_bytes=expected, memory_bytes=memory_bytes)


def _reserved_bytes(expected: int, least_bytes: int) -> int:
    spared = max(round(expected * (1 + SPARE_SHARE)), expected + LEAST_SPARE_BYTES)
    return max(spared, least_bytes) + GUARD_BYTES


def _fitting(need: ResourceNeed, least_bytes: int, budget_bytes: int) -> ResourceNeed:
    """The whole budget for a job that would fit by the model alone: its peak is then observed."""
    fits = _reserved_bytes(need.model_bytes, least_bytes) <= budget_bytes < need.memory_bytes
    return replace(need, memory_bytes=budget_bytes) if fits else need
