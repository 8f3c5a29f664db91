"""Clips made as a job makes them, without a job."""

from __future__ import annotations

from pathlib import Path

from tasks.media import MediaFacts
from tasks.metrics.observer import JobObserver
from worker.clip.plan import ClipPlan
from worker.cutting import Cut, CutTools, make_clip
from worker.process.run import Stop
from worker.process.tools import ToolRunner
from worker.pyav.probe import facts_of_file

ENOUGH_BYTES = 1 << 30


def probed(path: Path) -> MediaFacts:
    """The facts of a file, as its probe finds them."""
    return facts_of_file(str(path))


def runner_in(folder: Path) -> ToolRunner:
    """Tools that work in a folder, with more memory than they need."""
    return ToolRunner(
        folder, Stop(), JobObserver("clip"), deadline_seconds=60, memory_bytes=ENOUGH_BYTES
    )


def made_clip(plan: ClipPlan, source: Path, runner: ToolRunner) -> Cut:
    """The clip, in the runner's folder. Raises a JobError."""
    tools = CutTools(runner, lambda phase: None, lambda *progress: None, lambda whole: whole)
    return make_clip(plan, source, tools)
