"""clip: keep one range of a source."""

from __future__ import annotations

from pathlib import Path

from tasks.kinds import ClipResult, ClipSpec
from worker.kinds.file_names import file_name
from worker.kinds.interface import Machine, Outcome, ProducedFile


def run(spec: ClipSpec, machine: Machine) -> Outcome:
    """The clip, checked, and a picture of its middle if one was asked for."""
    with machine.source() as source:
        cut = machine.cut(spec, source)
    name = _clip_name(spec, source.title, cut.path.suffix)
    files = [ProducedFile(cut.path, "main", name, cut.facts)]
    warnings = list(cut.warnings)
    if spec.output.thumbnail and cut.facts.video is None:
        warnings.append("no thumbnail: the clip has no picture")
    elif spec.output.thumbnail:
        picture = machine.thumbnail(cut)
        thumbnail = file_name(Path(name).stem, picture.suffix)
        files.append(ProducedFile(picture, "thumbnail", thumbnail))
    return Outcome(ClipResult(**cut.values, warnings=tuple(warnings)), files)


def _clip_name(spec: ClipSpec, title: str, suffix: str) -> str:
    if spec.output.filename is not None:
        return file_name(Path(spec.output.filename).stem, suffix)
    return file_name(f"{title} {spec.start:g}-{spec.end:g}", suffix)
