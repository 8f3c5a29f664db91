"""Carrying out a clip's plan, and checking the file before anyone sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import NoSuchStream, RangeOutsideMedia, ToolFailed
from tasks.kinds import Verification
from tasks.media import MediaFacts
from worker import ffmpeg
from worker.clip import size_limit
from worker.clip.gif import gif_output
from worker.clip.picture_size import THUMBNAIL_WIDTH, shape_of, shape_of_whole
from worker.clip.plan import (
    USUAL_OVERLAPS,
    ClipPlan,
    Pictures,
    expected_frames,
    with_longer_preroll,
)
from worker.clip.strategy import Mode, Tool
from worker.cutting.texts import BurnedTexts, burned_texts
from worker.process.limits import Finished, Limits
from worker.process.tools import ToolRunner
from worker.pyav.client import run_program
from worker.pyav.request import cut_spec

OnProgress = Callable[[float, float | None, float | None], None]

CHECK_SECONDS = 60.0
THUMBNAIL_SECONDS = 60.0
# A tool that is silent for so long hangs: FFmpeg reports twice a second, a PyAV program each frame.
SILENCE_SECONDS = 120.0
# The check and the storing come after the last frame.
SHARE_OF_CUT = 0.95
SAVING_WARNING = "encoded with settings that save memory, which makes a larger file"


@dataclass(frozen=True)
class Cut:
    """A finished clip, checked: the contract's values of a clip's result."""

    path: Path
    facts: MediaFacts
    values: Mapping[str, Any]
    warnings: Sequence[str] = ()


class Checked(NamedTuple):
    """What a finished file holds: its facts, how many pictures, and how many were compared."""

    facts: MediaFacts
    frames: int
    compared: int


@dataclass(frozen=True)
class CutTools:
    """What a cut may use of its attempt.

    `enter` names the phase, `progress` takes a share from 0 to 1, media seconds done in each second
    and seconds left. `reserve` exchanges the reservation for that of a whole encode and returns the
    encode's plan, tuned to it; `reserve` may wait, and raises what waiting raises.
    """

    runner: ToolRunner
    enter: Callable[[str], None]
    progress: OnProgress
    reserve: Callable[[ClipPlan], ClipPlan]

    def limits(self, plan: ClipPlan) -> Limits:
        """The limits of a tool that writes a clip: one file, at no moment more than two."""
        clip_bytes = size_limit.clip_bytes(plan)
        return self.runner.limits(
            silence_seconds=SILENCE_SECONDS, file_bytes=clip_bytes, folder_bytes=2 * clip_bytes
        )


def make_clip(plan: ClipPlan, source: Path, tools: CutTools) -> Cut:
    """Cut one clip. Raises a JobError, and what `tools.reserve` raises."""
    target = tools.runner.folder / f"clip.{plan.container}"
    tools.enter("encoding" if plan.strategy.mode is Mode.ENCODE else "cutting")
    if plan.strategy.tool is Tool.PYAV:
        return _by_pyav(plan, source, target, tools)
    return _by_encoding(plan, source, target, tools)


def _by_pyav(plan: ClipPlan, source: Path, target: Path, tools: CutTools) -> Cut:
    """Cut with worker.pyav.cut; encode everything where the program can copy nothing."""
    if plan.muxer is not None:
        return _by_intermediate(plan, source, target, tools)
    found = _run_pyav(plan, source, target, tools)
    if "needs_encode" in found:
        tools.runner.observer.smart_cuts_rejected(found["rejected"])
        target.unlink(missing_ok=True)  # a rejected clip takes disk space
        plan = tools.reserve(plan.encode_whole(found["needs_encode"]))
        tools.enter("encoding")
        found = _run_pyav(plan, source, target, tools)
    warnings = [*plan.warnings, *found.pop("warnings")]
    if found["mode"] == Mode.ENCODE:
        warnings += _savings(plan)
    facts = MediaFacts.from_dict(found.pop("facts"))
    return Cut(target, facts, _values_of(found), warnings)


def _values_of(found: dict[str, Any]) -> dict[str, Any]:
    """The fields of a clip's result, from the program's answer."""
    found.pop("duration_seconds")
    return found | {"verification": Verification(**found["verification"])}


def _by_intermediate(plan: ClipPlan, source: Path, target: Path, tools: CutTools) -> Cut:
    """Copy with worker.pyav.cut, and let FFmpeg's command write the container."""
    made = target.with_suffix(f".{plan.muxer}")
    found = _run_pyav(plan, source, made, tools)
    facts = MediaFacts.from_dict(found.pop("facts"))
    argv = ffmpeg.remux_argv(made, target, facts, plan.container, shape_of_whole(plan.facts.video))
    _run_ffmpeg(argv, plan, tools)
    made.unlink()
    facts, frames, _ = _checked(plan, target, tools.runner)
    if frames != found["frames"]:
        raise ToolFailed(f"{plan.container} has {frames} of the clip's {found['frames']} pictures")
    warnings = [*plan.warnings, *found.pop("warnings")]
    return Cut(target, facts, _values_of(found), warnings)


def _run_pyav(plan: ClipPlan, source: Path, target: Path, tools: CutTools) -> dict[str, Any]:
    """The answer of the PyAV program, which finds the exact frames and checks its own result."""
    return run_program(
        tools.runner,
        "cut",
        cut_spec(plan, source, target),
        tools.limits(plan),
        lambda progress: tools.progress(SHARE_OF_CUT * progress.progress, progress.speed, None),
    )


def _savings(plan: ClipPlan) -> list[str]:
    """The warnings of an encode that had to save memory."""
    return [SAVING_WARNING] if plan.memory_saving_level else []


def _overlaps(pictures: Pictures) -> list[str]:
    """A warning where FFmpeg's command cannot tell where the sound belongs."""
    if pictures.overlaps <= USUAL_OVERLAPS:
        return []
    return [f"{pictures.overlaps} packets of sound overlap others: it may be up to 0.1 s off"]


def _by_encoding(plan: ClipPlan, source: Path, target: Path, tools: CutTools) -> Cut:
    """Encode the whole range; again with a longer pre-roll if frames are missing.

    This happens where pictures are refreshed bit by bit instead of by key pictures: FFmpeg drops
    pictures that it cannot show whole.
    """
    pictures = _pictures_of(plan, source, tools.runner)
    if pictures is None:  # there is sound alone
        return _by_pyav(plan.encode_whole(plan.strategy.reason), source, target, tools)
    needs_filters = plan.output.changes_picture or plan.container == "gif"
    if pictures.trouble is not None and not needs_filters:
        whole = tools.reserve(plan.encode_whole(plan.strategy.reason))
        return _by_pyav(whole, source, target, tools)
    shown = plan.showing(pictures)
    texts = burned_texts(shown, source, tools.runner)
    notes = _encode(shown, source, target, tools, texts)
    facts, frames, compared = _checked(shown, target, tools.runner, source, texts.shown)
    longer = with_longer_preroll(shown)
    if longer is not None and frames < (expected_frames(shown) or 0):
        target.unlink()
        notes = _encode(longer, source, target, tools, texts)
        facts, frames, compared = _checked(longer, target, tools.runner, source, texts.shown)
    warnings = [*plan.warnings, *_savings(plan), *_overlaps(pictures), *texts.warnings, *notes]
    if plan.has_side_tracks:
        warnings += _dressed(shown, source, target, tools)
        facts, frames, _ = _checked(shown, target, tools.runner)
    expected = expected_frames(shown) or frames
    if frames < expected:
        missing = expected - frames
        warnings.append(f"{missing} pictures of the range cannot be decoded and were left out")
    counts: dict[str, Any] = {"frames": frames, "frames_encoded": frames, "frames_copied": 0}
    counts["verification"] = Verification(expected, frames, compared)
    return Cut(target, facts, _values(plan, shown.start, facts) | counts, warnings)


def _dressed(plan: ClipPlan, source: Path, target: Path, tools: CutTools) -> list[str]:
    """Give a clip of FFmpeg's the subtitles and chapters of its source; returns warnings."""
    made = target.with_stem("dressed")
    asked: dict[str, Any] = {"source": str(source), "clip": str(target), "target": str(made)}
    asked |= {"container": plan.container, "start": plan.start, "end": plan.end}
    asked |= {"subtitles": [track.index for track in plan.subtitles]}
    found = run_program(tools.runner, "programs.dress", asked, tools.limits(plan))
    made.replace(target)
    return list(found["warnings"])


def _pictures_of(plan: ClipPlan, source: Path, runner: ToolRunner) -> Pictures | None:
    """What the range shows, found before FFmpeg's command is written; None: sound alone.

    Raises RangeOutsideMedia when there is neither.
    """
    assert plan.facts.video is not None
    asked: dict[str, Any] = {"source": str(source), "video": plan.facts.video.index}
    asked |= {"start": plan.start, "end": plan.end}
    asked |= {"sounds": [track.index for track in plan.sounds]}
    found = run_program(runner, "programs.look", asked, runner.limits(CHECK_SECONDS))
    return None if "none" in found else Pictures(**found)


def make_thumbnail(path: Path, at_seconds: float, facts: MediaFacts, runner: ToolRunner) -> Path:
    """A JPEG of one moment. Raises a JobError."""
    target = runner.folder / "thumbnail.jpg"
    argv = ffmpeg.thumbnail_argv(path, target, at_seconds, THUMBNAIL_WIDTH, facts)
    limits = runner.limits(THUMBNAIL_SECONDS, file_bytes=size_limit.THUMBNAIL_BYTES)
    finished = runner.run("ffmpeg", argv, limits)
    error = ffmpeg.failure_of(finished, runner.folder)
    if error is not None:
        raise error
    if not target.is_file() or not target.stat().st_size:
        raise ToolFailed("no thumbnail could be made")
    return target


def _encode(
    plan: ClipPlan, source: Path, target: Path, tools: CutTools, texts: BurnedTexts
) -> list[str]:
    """Write the clip with FFmpeg's command; returns warnings about what it draws."""
    argv = ffmpeg.encode_argv(plan, source, target, texts.script)
    finished = _run_ffmpeg(argv, plan, tools)
    return ffmpeg.missing_letters(finished.stderr_tail)


def _run_ffmpeg(argv: list[str], plan: ClipPlan, tools: CutTools) -> Finished:
    parser = ffmpeg.ProgressParser(plan.seconds, expected_frames(plan))

    def on_line(line: str) -> None:
        progress = parser.feed(line)
        if progress is not None:
            share = SHARE_OF_CUT * progress.fraction
            tools.progress(share, progress.speed, progress.eta_seconds)

    finished = tools.runner.run("ffmpeg", argv, tools.limits(plan), on_line)
    error = ffmpeg.failure_of(finished, tools.runner.folder)
    if error is not None:
        raise error
    return finished


def _checked(
    plan: ClipPlan,
    target: Path,
    runner: ToolRunner,
    source: Path | None = None,
    texts: Sequence[Sequence[float]] = (),
) -> Checked:
    """What the finished file holds. Raises ToolFailed when no player could play it, or when it
    shows other pictures than its source.

    An exit status of 0 is no proof: FFmpeg reports 0 also when it has written no frame, and its
    file may then be a container without a stream.
    """
    if not target.is_file() or not target.stat().st_size:
        raise ToolFailed("the clip came out empty")
    try:
        asked = {
            "source": str(target),
            "original": _original(plan, source, texts) if source else None,
        }
        found = run_program(runner, "programs.check", asked, runner.limits(CHECK_SECONDS))
    except NoSuchStream as error:
        raise RangeOutsideMedia("nothing of the source lies in this range") from error
    facts = MediaFacts.from_dict(found["facts"])
    frames = int(found["frames"])
    if plan.keeps_picture and frames == 0:
        raise RangeOutsideMedia("no frame lies in this range")
    if not found["begins_with_key"]:
        raise ToolFailed("the clip does not begin with a keyframe")
    return Checked(facts, frames, int(found["compared"]))


def _original(plan: ClipPlan, source: Path, texts: Sequence[Sequence[float]]) -> dict[str, Any]:
    """What the clip was made of, for its check."""
    video = plan.facts.video
    assert video is not None
    output = gif_output(plan, video).output if plan.container == "gif" else plan.output
    shape = shape_of(video, output)
    return {
        "path": str(source),
        "video": video.index,
        "zero": plan.start,
        "rotation": video.rotation,
        "crop": shape.crop,
        "inner": shape.scale if shape.pad else None,
        "every": output.fps is None,
        "texts": [*texts],
        "later": [] if output.fps is None else [round(0.49 / output.fps, 6)],
    }


def _values(plan: ClipPlan, actual_start: float, facts: MediaFacts) -> dict[str, Any]:
    return {
        "mode": plan.strategy.mode.value,
        "mode_reason": plan.strategy.reason,
        "requested_start": plan.start,
        "requested_end": plan.asked_end,
        "actual_start": round(actual_start, 6),
        "actual_end": round(actual_start + (facts.duration_seconds or 0.0), 6),
    }
