"""The texts that are drawn into a clip's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.clip.plan import ClipPlan, burned_subtitles
from worker.ffmpeg import FONT
from worker.process.tools import ToolRunner
from worker.pyav.client import run_program

READING_SECONDS = 60.0


@dataclass(frozen=True)
class BurnedTexts:
    """The script to draw, or None; when it shows something, in seconds of the clip."""

    script: Path | None = None
    shown: Sequence[Sequence[float]] = ()
    warnings: Sequence[str] = ()


def burned_texts(plan: ClipPlan, source: Path, runner: ToolRunner) -> BurnedTexts:
    """Read what the plan draws into the pictures of its range. Raises a JobError."""
    track = burned_subtitles(plan)
    if track is None:
        return BurnedTexts()
    script = runner.folder / "burned.ass"
    asked: dict[str, Any] = {"source": str(source), "track": track.index, "target": str(script)}
    asked |= {"start": plan.start, "end": plan.end, "font": FONT}
    found = run_program(runner, "programs.burn", asked, runner.limits(READING_SECONDS))
    return BurnedTexts(script, found["shown"], found["warnings"])
