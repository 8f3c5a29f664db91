"""The request to the cut program: a plan and its files, as a value that travels as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from tasks.media import VideoFacts
from tasks.specs import Output
from worker.clip.encoding import QUALITIES
from worker.clip.plan import ClipPlan
from worker.clip.strategy import Mode
from worker.pyav.window import seconds

MODES = frozenset(Mode)


@dataclass(frozen=True, slots=True)
class CutRequest:
    """One clip to make. Raises ValueError for a spec that the worker should not have sent.

    `container` is the container to write, whatever `output.container` says.
    """

    source: str
    target: str
    start: Fraction
    end: Fraction
    mode: str = Mode.SMART
    container: str = "mp4"
    output: Output = field(default_factory=Output)
    threads: int = 1
    memory_saving_level: int = 0
    reason: str = "encoding was asked for"  # why everything is to be encoded
    video: int | None = None  # index of the stream; None: the one that a player would show
    sounds: tuple[int, ...] | None = None  # indexes of the streams; None: all that can be played
    subtitles: tuple[int, ...] = ()
    encodes_sound: bool = False  # even where packets could be copied
    muxer: str | None = None  # instead of the container's own
    source_video: VideoFacts | None = None  # what the source's pictures look like

    def __post_init__(self) -> None:
        known = self.mode in MODES and self.output.quality in QUALITIES
        if not known or not self.start < self.end:
            raise ValueError("not a valid cut spec")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Self:
        """The request of a JSON spec."""
        times = {"start": seconds(spec["start"]), "end": seconds(spec["end"])}
        sounds = spec.get("sounds")
        chosen: dict[str, Any] = {"sounds": None if sounds is None else tuple(sounds)}
        chosen["subtitles"] = tuple(spec.get("subtitles", ()))
        video = spec.get("source_video")
        chosen["source_video"] = VideoFacts.from_dict(video) if video else None
        return cls(**{**spec, **times, **chosen, "output": Output(**spec.get("output", {}))})


def cut_spec(plan: ClipPlan, source: Path, target: Path) -> dict[str, Any]:
    """The spec for a plan. The program finds by itself where the media really ends."""
    return {
        "source": str(source),
        "target": str(target),
        "start": plan.start,
        "end": plan.asked_end,
        "mode": plan.strategy.mode,
        "container": plan.container,
        "output": asdict(plan.output),
        "threads": plan.threads,
        "memory_saving_level": plan.memory_saving_level,
        "reason": plan.strategy.reason,
        "video": plan.facts.video.index if plan.facts.video else None,
        "sounds": [track.index for track in plan.sounds],
        "subtitles": [track.index for track in plan.subtitles],
        "muxer": plan.muxer,
        # An intermediate file does not carry all of it.
        "source_video": asdict(plan.facts.video) if plan.facts.video and not plan.muxer else None,
    }
