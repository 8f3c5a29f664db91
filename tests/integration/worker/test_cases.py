"""Sources as people have them, cut as a job cuts them, judged by the numbers in their pictures.

`CLIPMILL_SWEEP=1` tries every place of every case; otherwise those that told most faults apart.
`REFUSED` names what cannot be had, and the error that says so.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.cases.cutting import RIGHT, judged
from tests.support.cases.table import CASES

USUAL = {
    "auto": ("on a keyframe", "around it", "the end"),
    "encode": ("around it",),
    "copy": ("one after it",),
    "resized": ("around it", "two tenths"),
}
REFUSED = {
    # Nobody knows when pictures show whose packets have no times of their own.
    ("h264_b.avi", "copy"): "refused: no_such_stream",
    ("h264_pyramid.avi", "copy"): "refused: no_such_stream",
    ("mpeg4_b.avi", "copy"): "refused: no_such_stream",
    # Each picture of a GIF is drawn over the one before.
    ("gif.gif", "copy"): "refused: no_such_stream",
    # Segments of an edit list begin inside of groups of pictures; one header cannot name two sets.
    ("edits_many.mp4", "copy"): "refused: no_such_stream",
    ("concat_entries.mp4", "copy"): "refused: no_such_stream",
}
PAIRS = [(case.name, mode) for case in CASES.values() for mode in case.modes]


@pytest.mark.parametrize(("name", "mode"), PAIRS)
def test_every_cut_of_a_case_is_right_or_refused_with_its_reason(
    name: str, mode: str, media_folder: Path, tmp_path: Path
) -> None:
    places = None if os.environ.get("CLIPMILL_SWEEP") else USUAL[mode]
    found = judged(CASES[name], mode, media_folder, tmp_path, places)
    reason = REFUSED.get((name, mode))
    if reason is None:
        assert [(asked.name, what) for asked, what in found if what != RIGHT] == []
    else:
        refused = [what.startswith(reason) for _, what in found]
        assert any(refused)
        assert all(it or what == RIGHT for it, (_, what) in zip(refused, found, strict=True))
