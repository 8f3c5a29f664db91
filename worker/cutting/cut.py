"""Making a clip in the decided way, and checking it before anyone sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.errors import RangeOutsideMedia, ToolFailed
from tasks.kinds import ClipSpec
from tasks.media import MediaFacts
from worker import ffmpeg
from worker.clip import size_limit
from worker.clip.strategy import Tool, Way, way_of
from worker.ffmpeg import CutPlan, ProgressParser
from worker.kinds.interface import Cut, SourceMedia
from worker.memory.need import ResourceNeed
from worker.process.limits import Limits
from worker.process.tools import ToolRunner
from worker.pyav.client import run_program

OnProgress = Callable[[float, float | None, float | None], None]

CHECK_SECONDS = 60.0
THUMBNAIL_SECONDS = 60.0
THUMBNAIL_WIDTH = 640
# Without a word for so long a tool hangs: FFmpeg reports twice a second, a program with each frame.
SILENCE_SECONDS = 120.0
# The check and the storing come after the last frame.
SHARE_OF_CUT = 0.95
REORDERED_SECONDS = 0.25
# An end so little past the media's is only rounding.
CLAMP_TOLERANCE_SECONDS = 0.25
LEAN_WARNING = "encoded with settings that save memory, which makes a larger file"


def make_clip(
    spec: ClipSpec,
    source: SourceMedia,
    tools: ToolRunner,
    need: ResourceNeed,
    reserve_encode: Callable[[], ResourceNeed],
    enter: Callable[[str], None],
    on_progress: OnProgress,
) -> Cut:
    """Cut one clip. `reserve_encode` gets room for the whole encode, if nothing can be copied.

    Raises a JobError, and what `reserve_encode` raises.
    """
    way = way_of(spec, source.facts)
    end, warnings = _clamped(spec, source.facts)
    enter("encoding" if way.mode.startswith("encode") else "cutting")
    plan = CutPlan(
        source=source.path,
        target=tools.folder / f"clip.{way.container}",
        start=spec.start,
        end=end,
        facts=source.facts,
        output=spec.output,
        container=way.container,
        threads=need.threads,
        lean=need.lean,
    )
    if way.tool is Tool.PROGRAM:
        found = _by_program(spec, plan, way.mode, tools, on_progress)
        if (reason := found.get("needs_encode")) is not None:
            tools.counters["smart_rejected_total"] += found["rejected"]
            plan.target.unlink(missing_ok=True)  # a rejected one takes room
            need = reserve_encode()
            enter("encoding")
            plan = replace(plan, threads=need.threads, lean=need.lean)
            found = _by_program(spec, plan, "encode-exact", tools, on_progress, reason)
        return _cut_of(found, plan)
    if way.mode == "copy":
        return _by_copying(spec, plan, tools, on_progress, warnings)
    return _by_encoding(spec, plan, way, tools, on_progress, warnings)


def _clamped(spec: ClipSpec, facts: MediaFacts) -> tuple[float, list[str]]:
    """The end, at most the media's own. Raises RangeOutsideMedia for a start past it."""
    duration = facts.duration_seconds
    if duration is None or spec.end <= duration:
        return spec.end, []
    if spec.start >= duration:
        raise RangeOutsideMedia(
            f"the start, {spec.start:g} s, is past the end of the media, {duration:.3f} s"
        )
    if spec.end <= duration + CLAMP_TOLERANCE_SECONDS:
        return spec.end, []
    return duration, [f"the end was moved to the end of the media, {duration:.3f} s"]


def _by_program(
    spec: ClipSpec,
    plan: CutPlan,
    mode: str,
    tools: ToolRunner,
    on_progress: OnProgress,
    reason: str | None = None,
) -> dict[str, Any]:
    """Cut with worker.pyav.cut, which finds the exact frames and checks its own result."""
    asked = {
        "source": str(plan.source),
        "output": str(plan.target),
        "start": spec.start,
        "end": spec.end,
        "mode": mode,
        "container": plan.container,
        "quality": spec.output.quality,
        "audio": spec.output.audio,
        "threads": plan.threads,
        "lean": plan.lean,
        "reason": reason,
    }
    return run_program(
        tools,
        "cut",
        asked,
        _limits(plan, tools),
        lambda progress: on_progress(SHARE_OF_CUT * progress.progress, progress.speed, None),
    )


def _cut_of(values: dict[str, Any], plan: CutPlan) -> Cut:
    """What the program has made."""
    warnings = values.pop("warnings")
    if values["mode"] == "encode":
        warnings += _savings(plan)
    values.pop("duration_seconds")
    facts = MediaFacts.from_dict(values.pop("facts"))
    return Cut(plan.target, facts, values, warnings)


def _savings(plan: CutPlan) -> list[str]:
    """What the client should know of an encode that had to save memory."""
    return [LEAN_WARNING] if plan.lean else []


def _limits(plan: CutPlan, tools: ToolRunner) -> Limits:
    """For what writes a clip: one file, at no moment more than two."""
    clip_bytes = size_limit.clip_bytes(plan)
    return tools.limits(
        silence_seconds=SILENCE_SECONDS, file_bytes=clip_bytes, folder_bytes=2 * clip_bytes
    )


def _by_copying(
    spec: ClipSpec, plan: CutPlan, tools: ToolRunner, on_progress: OnProgress, warnings: list[str]
) -> Cut:
    """Copy packets from the keyframe at or before the start, and say where that is."""
    argv = ffmpeg.copy_argv(
        plan.source, plan.target, plan.start, plan.end, plan.facts, plan.container
    )
    _run_ffmpeg(argv, plan, tools, on_progress)
    facts, frames = _checked(plan, tools)
    start = _start_of_copy(plan, facts, tools) if facts.video else spec.start
    values = _values(spec, "copy", "a copy was asked for", start, facts)
    counts = {"frames": frames, "frames_encoded": 0, "frames_copied": frames}
    return Cut(plan.target, facts, values | counts, warnings)


def _by_encoding(
    spec: ClipSpec,
    plan: CutPlan,
    way: Way,
    tools: ToolRunner,
    on_progress: OnProgress,
    warnings: list[str],
) -> Cut:
    """Encode the whole range; once more from further back if frames of the start are missing."""
    _run_ffmpeg(ffmpeg.encode_argv(plan), plan, tools, on_progress)
    facts, frames = _checked(plan, tools)
    longer = ffmpeg.with_longer_preroll(plan)
    if longer is not None and ffmpeg.lost_frames(plan, frames):
        plan.target.unlink()
        _run_ffmpeg(ffmpeg.encode_argv(longer), longer, tools, on_progress)
        facts, frames = _checked(longer, tools)
    values = _values(spec, "encode", way.reason, spec.start, facts)
    counts = {"frames": frames, "frames_encoded": frames, "frames_copied": 0}
    return Cut(plan.target, facts, values | counts, [*warnings, *_savings(plan)])


def make_thumbnail(path: Path, at_seconds: float, facts: MediaFacts, tools: ToolRunner) -> Path:
    """A JPEG of one moment. Raises a JobError."""
    target = tools.folder / "thumbnail.jpg"
    argv = ffmpeg.thumbnail_argv(path, target, at_seconds, THUMBNAIL_WIDTH, facts)
    limits = tools.limits(THUMBNAIL_SECONDS, file_bytes=size_limit.THUMBNAIL_BYTES)
    finished = tools.run("ffmpeg", argv, limits)
    error = ffmpeg.failure_of(finished, tools.folder)
    if error is not None:
        raise error
    if not target.is_file() or not target.stat().st_size:
        raise ToolFailed("no thumbnail could be made")
    return target


def _run_ffmpeg(argv: list[str], plan: CutPlan, tools: ToolRunner, on_progress: OnProgress) -> None:
    parser = ProgressParser(plan.seconds, ffmpeg.expected_frames(plan))

    def on_line(line: str) -> None:
        progress = parser.feed(line)
        if progress is not None:
            share = SHARE_OF_CUT * progress.fraction
            on_progress(share, progress.speed, progress.eta_seconds)

    finished = tools.run("ffmpeg", argv, _limits(plan, tools), on_line)
    error = ffmpeg.failure_of(finished, tools.folder)
    if error is not None:
        raise error


def _checked(plan: CutPlan, tools: ToolRunner) -> tuple[MediaFacts, int]:
    """What the finished file holds. Raises ToolFailed when nobody could play it.

    An exit status of 0 is no proof: FFmpeg also ends so when it has written no frame.
    """
    if not plan.target.is_file() or not plan.target.stat().st_size:
        raise ToolFailed("the clip came out empty")
    found = run_program(tools, "check", {"source": str(plan.target)}, tools.limits(CHECK_SECONDS))
    facts = MediaFacts.from_dict(found["facts"])
    frames = int(found["frames"])
    if plan.keeps_picture and plan.facts.video is not None and frames == 0:
        raise RangeOutsideMedia("no frame lies in this range")
    if not found["begins_with_key"]:
        raise ToolFailed("the clip does not begin with a keyframe")
    return facts, frames


def _start_of_copy(plan: CutPlan, facts: MediaFacts, tools: ToolRunner) -> float:
    """Where a copy really begins: the keyframe that its length leads back to.

    FFmpeg may have gone back one keyframe more than it had to; in Matroska it does so just behind
    one. Reordered frames at the end make a copy a little longer than the range.
    """
    led_back = plan.end - (facts.duration_seconds or plan.seconds) + REORDERED_SECONDS
    asked = {"source": str(plan.source), "at": max(0.0, min(plan.start, led_back))}
    return float(run_program(tools, "keyframe", asked, tools.limits(CHECK_SECONDS))["seconds"])


def _values(
    spec: ClipSpec, mode: str, reason: str, actual_start: float, facts: MediaFacts
) -> dict[str, Any]:
    return {
        "mode": mode,
        "mode_reason": reason,
        "requested_start": spec.start,
        "requested_end": spec.end,
        "actual_start": round(actual_start, 6),
        "actual_end": round(actual_start + (facts.duration_seconds or 0.0), 6),
    }
