"""clip: keep one range of a source."""

from __future__ import annotations

from pathlib import Path

from config.values import MIB
from tasks.kinds import ClipResult, ClipSpec
from tasks.media import MediaFacts
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import Outcome, ProducedFile
from worker.clip.plan import ClipPlan, plan_clip
from worker.cutting import Cut, CutTools, make_clip, make_thumbnail
from worker.kinds.file_names import file_name
from worker.kinds.handler import Handler
from worker.memory.capacity import Capacity
from worker.memory.estimate import UNKNOWN_MEDIA, estimate_clip
from worker.memory.need import ResourceNeed

LEAST_BYTES = 64 * MIB  # the PyAV programs read unknown files


class ClipHandler(Handler[ClipSpec]):
    """Plans a clip by the facts of its source, and cuts it."""

    disk_bytes = 32 * MIB

    def need(self, spec: ClipSpec, source: MediaFacts | None, capacity: Capacity) -> ResourceNeed:
        """The need of the clip's plan."""
        return estimate_clip(plan_clip(spec, source or UNKNOWN_MEDIA), LEAST_BYTES, capacity)

    def run(self, spec: ClipSpec, attempt: Attempt) -> Outcome:
        """The clip, checked, and a picture of its middle if one was asked for."""
        with attempt.source() as source:
            cut = _cut(plan_clip(spec, source.facts), source.path, attempt)
        return finished(spec, source.title, cut, attempt)


def _cut(plan: ClipPlan, source: Path, attempt: Attempt) -> Cut:
    def reserve(other: ClipPlan) -> ClipPlan:
        """Exchange the reservation for that of another plan; returns the plan tuned to it."""
        need = attempt.reserve(estimate_clip(other, LEAST_BYTES, attempt.capacity))
        return other.tuned(need.threads, need.memory_saving_level)

    tuned = plan.tuned(attempt.need.threads, attempt.need.memory_saving_level)
    tools = CutTools(attempt.tools, attempt.enter, attempt.progress, reserve)
    return make_clip(tuned, source, tools)


def finished(spec: ClipSpec, title: str, cut: Cut, attempt: Attempt) -> Outcome:
    """The outcome of a cut: the clip, and its thumbnail where there can be one."""
    name = _clip_name(spec, title, cut.path.suffix)
    files = [ProducedFile(cut.path, "main", name, cut.facts)]
    warnings = list(cut.warnings)
    if spec.output.thumbnail and cut.facts.video is None:
        warnings.append("no thumbnail: the clip has no picture")
    elif spec.output.thumbnail:
        middle = (cut.facts.duration_seconds or 0.0) / 2
        picture = make_thumbnail(cut.path, middle, cut.facts, attempt.tools)
        files.append(ProducedFile(picture, "thumbnail", file_name(Path(name).stem, picture.suffix)))
    return Outcome(ClipResult(**cut.values, warnings=tuple(warnings)), files)


def _clip_name(spec: ClipSpec, title: str, suffix: str) -> str:
    if spec.output.filename is not None:
        return file_name(Path(spec.output.filename).stem, suffix)
    end = "end" if spec.end is None else f"{spec.end:g}"
    return file_name(f"{title} {spec.start:g}-{end}", suffix)


HANDLER = ClipHandler()
