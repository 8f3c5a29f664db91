"""Which way a clip is cut, and the cut itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tasks.interfaces import Cut, SourceMedia
from tasks.media import MediaFacts
from tasks.specs import ClipSpec
from worker.needs import Need
from worker.supervision import Limits
from worker.tools import Tools

OnProgress = Callable[[float, float | None, float | None], None]
PROBE_SECONDS = 30.0


def cut(
    spec: ClipSpec,
    source: SourceMedia,
    tools: Tools,
    need: Need,
    enter: Callable[[str], None],
    on_progress: OnProgress,
) -> Cut:
    """Cut a range with the frame-exact program. Raises a JobError."""
    container = spec.output.container or "mp4"
    target = tools.folder / f"clip.{container}"
    enter("cutting")
    result = tools.program(
        "cut",
        {
            "source": str(source.path),
            "output": str(target),
            "start": spec.start,
            "end": spec.end,
            "mode": "encode-exact" if spec.mode == "encode" else "auto",
            "container": container,
            "quality": spec.output.quality,
            "audio": spec.output.audio,
            "threads": need.threads,
        },
        tools.limits(),
        lambda progress: on_progress(0.95 * progress.progress, progress.speed, None),
    )
    facts = MediaFacts.from_dict(
        tools.program("probe", {"source": str(target)}, tools.limits(PROBE_SECONDS))
    )
    warnings = result.pop("warnings")
    result.pop("smart_rejected")
    result.pop("duration_seconds")
    return Cut(target, facts, result, warnings)


def thumbnail(path: Path, at_seconds: float, tools: Tools, limits: Limits) -> Path:
    """A picture of one moment."""
    raise NotImplementedError
