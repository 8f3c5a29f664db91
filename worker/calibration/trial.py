"""Real clips of made videos, run one by one as a job runs them, to measure their memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tasks.errors import ToolFailed
from tasks.kinds import ClipSpec
from tasks.media import MediaFacts
from tasks.metrics.observer import JobObserver
from tasks.specs import Output, Source
from worker.calibration.samples import Sample, repeated_argv, sample_argv
from worker.clip.plan import ClipPlan, plan_clip
from worker.cutting import CutTools, make_clip, make_thumbnail
from worker.memory.model import Terms
from worker.memory.steps import clip_steps
from worker.process.run import Finished, Limits, Stop, run_process
from worker.process.tools import ToolRunner
from worker.pyav.client import run_program

DEADLINE_SECONDS = 600.0
NO_LIMIT_BYTES = 1 << 40


@dataclass(frozen=True)
class Trial:
    """One clip to make of one video, a drawn one or a file."""

    sample: Sample | Path
    mode: str = "encode"
    output: Output = field(default_factory=Output)
    threads: int = 1
    memory_saving_level: int = 0
    start: float = 0.73
    end: float = 2.11

    def __str__(self) -> str:
        asked, level = self.output, self.memory_saving_level
        shape = f" {asked.width} wide" if asked.width else ""
        made = f"{self.mode} {asked.container or ''} {asked.quality}{shape}".replace("  ", " ")
        saving = f", saving level {level}" if level else ""
        return f"{made}, {self.threads} threads{saving}, of {self._source}"

    @property
    def _source(self) -> str:
        return self.sample.name if isinstance(self.sample, Path) else str(self.sample)

    @property
    def spec(self) -> ClipSpec:
        """The spec that a client would have sent."""
        return ClipSpec(Source(url="file"), self.start, self.end, self.mode, self.output)


@dataclass(frozen=True)
class Seen:
    """What a trial used: the peak of each of its tools, in bytes."""

    plan: ClipPlan  # the one that made the clip: the second where the first could copy nothing
    peaks: dict[str, int]
    warnings: Sequence[str]

    @property
    def steps(self) -> Mapping[str, Terms]:
        """The model's terms for the steps that ran, by the same names."""
        return clip_steps(self.plan)

    @property
    def peak_bytes(self) -> int:
        """The highest peak of the clip; the probe of its source belongs to another job."""
        return max(peak for tool, peak in self.peaks.items() if tool != "probe")


class NotingToolRunner(ToolRunner):
    """Records the peak of each tool separately."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        super().__init__(
            folder,
            Stop(),
            JobObserver("clip"),
            deadline_seconds=DEADLINE_SECONDS,
            memory_bytes=limit_bytes,
        )
        self.peaks: dict[str, int] = {}

    def run(
        self,
        tool: str,
        argv: list[str],
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        finished = super().run(tool, argv, limits, on_line)
        self.peaks[tool] = max(self.peaks.get(tool, 0), finished.peak_bytes)
        return finished


def run_trial(
    trial: Trial, folder: Path, *, limit_bytes: int = NO_LIMIT_BYTES, keep: Path | None = None
) -> Seen:
    """Make the clip, and leave it at `keep`. A drawn video stays in `folder` for the next trial.

    Raises a JobError, as when a tool takes more than `limit_bytes`.
    """
    sample = trial.sample
    path = sample if isinstance(sample, Path) else made_sample(sample, folder)
    plans: list[ClipPlan] = []

    def reserve(plan: ClipPlan) -> ClipPlan:
        plans.append(plan.tuned(trial.threads, trial.memory_saving_level))
        return plans[-1]

    with tempfile.TemporaryDirectory(dir=folder) as name:
        tools = NotingToolRunner(Path(name), limit_bytes)
        probed = run_program(tools, "probe", {"source": str(path)}, tools.limits())
        plan = reserve(plan_clip(trial.spec, MediaFacts.from_dict(probed)))
        unwatched = CutTools(tools, lambda phase: None, lambda done, speed, eta: None, reserve)
        cut = make_clip(plan, path, unwatched)
        peaks = dict(tools.peaks)
        if trial.output.thumbnail:
            pictured = NotingToolRunner(Path(name), limit_bytes)
            make_thumbnail(cut.path, 0.5, cut.facts, pictured)
            peaks["thumbnail"] = pictured.peaks["ffmpeg"]
        if keep is not None:
            cut.path.rename(keep)
        return Seen(plans[-1], peaks, cut.warnings)


def made_sample(sample: Sample, folder: Path) -> Path:
    """The file of a video, which is drawn once."""
    path = folder / sample.name
    if not path.exists():
        making = path.with_name(f"making-{path.name}")
        argv = _making(sample, folder, making)
        limits = Limits(deadline_seconds=DEADLINE_SECONDS)
        finished = run_process(argv, folder=folder, limits=limits, stop=Stop())
        if finished.returncode != 0:
            raise ToolFailed(f"{sample.name} could not be made", {"stderr": finished.stderr_tail})
        making.rename(path)
    return path


def _making(sample: Sample, folder: Path, target: Path) -> list[str]:
    if not sample.repeated:
        return sample_argv(sample, target)
    return repeated_argv(made_sample(replace(sample, repeated=0), folder), sample.repeated, target)
