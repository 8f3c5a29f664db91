"""Every clip of every source holds exactly the frames of its range.

Cut points fall on keyframes, one frame before and after them, between frames, on a single frame
and past the end. `make sweep` (CLIPMILL_SWEEP=1) tries many more of each source.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import RangeOutsideMedia
from tests.support.exactness import judge, reference
from tests.support.sources import SOURCES
from worker.pyav import cut as program
from worker.pyav.request import CutRequest
from worker.pyav.result import CutResult
from worker.pyav.window import seconds

SMART_PSNR, ENCODE_PSNR = 40.0, 36.0
SOUND_SHIFT_MS = 25.0
CUTS = ((0.0, 4.0), (1.0, 3.0), (0.96, 2.5), (1.04, 3.0), (0.5, 2.3), (1.48, 1.52), (3.1, 9.0))
SWEEP = tuple((at / 50, at / 50 + length) for at in range(0, 190, 7) for length in (0.3, 1.1, 2.0))


def _cuts() -> tuple[tuple[float, float], ...]:
    return CUTS + SWEEP if os.environ.get("CLIPMILL_SWEEP") else CUTS


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs write progress on stdout; here they run inside the test."""
    monkeypatch.setattr(program, "write_line", lambda values: None)


@pytest.mark.parametrize("name", SOURCES)
def test_every_cut_of_a_source_is_exact(
    name: str, source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    source = source_named(name)
    suffix = ".webm" if source.suffix == ".webm" else ".mp4"
    faults, modes = [], set()
    for start, end in _cuts():
        clip = tmp_path / f"{start}-{end}{suffix}"
        request = CutRequest(
            source=str(source),
            target=str(clip),
            start=seconds(start),
            end=seconds(end),
            mode="smart",
            container=suffix[1:],
        )
        found, mode = _faults(request, source, clip, start, end)
        faults += [f"{start}-{end} s: {fault}" for fault in found]
        modes.add(mode)
    assert faults == []
    assert ("smart" in modes) or not SOURCES[name].smart


def _faults(
    request: CutRequest, source: Path, clip: Path, start: float, end: float
) -> tuple[list[str], str]:
    """What is wrong with one cut, and its mode."""
    try:
        result, rejected = _cut(request)
    except RangeOutsideMedia as error:
        return ([error.message] if reference(source, start, end) else []), "refused"
    verdict = judge(source, clip, start, end)
    faults = list(verdict.faults)
    least = SMART_PSNR if result.mode == "smart" else ENCODE_PSNR
    if verdict.worst_psnr < least:
        faults.append(f"{verdict.worst_psnr:.1f} dB in {result.mode}")
    if verdict.identical < result.frames_copied:
        faults.append(f"{verdict.identical} identical frames of {result.frames_copied} copied")
    if verdict.frames != result.frames:
        faults.append(f"the result says {result.frames} frames")
    if verdict.sound_shift_ms > SOUND_SHIFT_MS:
        faults.append(f"the sound is {verdict.sound_shift_ms:.0f} ms off")
    if rejected:
        faults.append(result.mode_reason)
    return faults, result.mode


def _cut(request: CutRequest) -> tuple[CutResult, bool]:
    """The clip as the worker makes it, and whether a smart cut of it went wrong."""
    try:
        return program.cut(request), False
    except program.NeedsEncode as needs:
        whole = replace(request, mode="encode", reason=needs.reason)
        return program.cut(whole), needs.rejected
