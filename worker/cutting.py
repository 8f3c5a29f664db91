"""Which way a clip is cut, and the cut itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tasks.interfaces import Cut, SourceMedia
from tasks.specs import ClipSpec
from worker.needs import Need
from worker.supervision import Limits
from worker.tools import Tools

OnProgress = Callable[[float, float | None, float | None], None]


def cut(
    spec: ClipSpec,
    source: SourceMedia,
    tools: Tools,
    need: Need,
    enter: Callable[[str], None],
    on_progress: OnProgress,
) -> Cut:
    raise NotImplementedError


def thumbnail(path: Path, at_seconds: float, tools: Tools, limits: Limits) -> Path:
    raise NotImplementedError
