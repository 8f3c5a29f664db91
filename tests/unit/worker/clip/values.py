"""Plans of sources that need not exist."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.specs import Output
from worker.clip.plan import ClipPlan
from worker.clip.strategy import Mode, Strategy, Tool

VIDEO = VideoFacts(
    codec="h264",
    profile="High",
    width=1920,
    height=1080,
    pix_fmt="yuv420p",
    bit_depth=8,
    fps=30.0,
)
FACTS = MediaFacts(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    start_time_seconds=0.0,
    duration_seconds=60.0,
    size_bytes=10_000_000,
    video=VIDEO,
    audio=(AudioFacts("aac", 48000, 2),),
)


def video(**changes: Any) -> VideoFacts:
    """The usual picture with changes."""
    return replace(VIDEO, **changes)


def plan(
    container: str = "mp4", facts: MediaFacts = FACTS, start: float = 10.0, end: float = 15.0,
    threads: int = 1, tool: Tool = Tool.FFMPEG, mode: Mode = Mode.ENCODE, **output: Any,
) -> ClipPlan:  # fmt: skip
    """A clip of the usual source, by whatever strategy."""
    strategy = Strategy(tool, mode, "as the test wants it")
    clip = ClipPlan(facts, Output(**output), strategy, container, start, end, end)
    return clip.tuned(threads, 0)


def after(argv: list[str], option: str) -> str:
    """The word that follows an option."""
    return argv[argv.index(option) + 1]
