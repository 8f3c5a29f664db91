"""Ways of cutting clips by command. Each gets a source and ranges, and puts files in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clips.sizes import Range
from benchmarks.clips.source import FFMPEG
from benchmarks.cost import Cost, measured
from clipmill.stack.processes import run_tool

OURS = "clipmill"
TIMEOUT_SECONDS = 900.0

Argv = Callable[[Path, Range, Path], list[str]]


@dataclass(frozen=True)
class Attempt:
    """The result of cutting all ranges once: files in the order of the ranges, and the cost.
    `more` holds further times in seconds, by name."""

    clips: Sequence[Path]
    cost: Cost
    more: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """One way of cutting; `rounds` limits how often a slow way is measured."""

    name: str
    title: str
    cut: Callable[[Path, Sequence[Range], Path], Attempt]
    rounds: int | None = None


def by_command(argv: Argv, side_by_side: int = 1) -> Callable[..., Attempt]:
    """A way that runs one process for each clip, `side_by_side` at a time."""

    def cut(source: Path, ranges: Sequence[Range], folder: Path) -> Attempt:
        targets = [folder / f"clip-{number:02}.mp4" for number in range(len(ranges))]
        commands = [argv(source, *pair) for pair in zip(ranges, targets, strict=True)]
        _, cost = measured(lambda: run_all(commands, side_by_side))
        return Attempt(targets, cost)

    return cut


def run_all(commands: Sequence[list[str]], side_by_side: int) -> None:
    """Run all commands. A command that fails leaves no good file, which the judge finds."""
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(lambda argv: run_tool(argv, timeout_seconds=TIMEOUT_SECONDS), commands))


def seed_argv(source: Path, wanted: Range, target: Path) -> list[str]:
    """The earlier platform's command: everything before the start is decoded and thrown away."""
    return ffmpeg_argv(["-i", str(source), "-ss", f"{wanted.start:.3f}"], wanted, target)


def input_seek_argv(source: Path, wanted: Range, target: Path) -> list[str]:
    """The same with `-ss` before the input: decoding begins at the keyframe before the start."""
    return ffmpeg_argv(["-ss", f"{wanted.start:.3f}", "-i", str(source)], wanted, target)


def ffmpeg_argv(inputs: list[str], wanted: Range, target: Path) -> list[str]:
    argv = [FFMPEG, "-v", "error", "-nostdin", "-y", *inputs, "-t", f"{wanted.seconds:.3f}"]
    return [*argv, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy", str(target)]
