"""Sources as people have them, cut as a job cuts them, judged by the numbers in their pictures.

`CLIPMILL_SWEEP=1` tries every place of every case; otherwise those that told most faults apart.
`NOT_YET` names what is not right yet, and how it ends instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.cases.cutting import RIGHT, judged
from tests.support.cases.recipes import CASES

USUAL = {
    "auto": ("on a keyframe", "around it", "the end"),
    "encode": ("around it",),
    "copy": ("one after it",),
}
NOT_YET = {
    # The picture that is on display at the start began long before it.
    ("slides.mp4", "auto"): "refused: range_outside_media",
    ("slides.mp4", "encode"): "refused: range_outside_media",
    ("still.mp4", "auto"): "31 pictures",
    ("still.mp4", "encode"): "31 pictures",
    # Packets without times of their own, or without an index.
    ("h264_b.avi", "copy"): "refused: no_such_stream",
    ("h264_pyramid.avi", "copy"): "refused: no_such_stream",
    ("mpeg4_b.avi", "copy"): "refused: no_such_stream",
    ("program.mpg", "copy"): "refused: no_such_stream",
    ("gif.gif", "copy"): "refused: tool_failed",
}
PAIRS = [(case.name, mode) for case in CASES.values() for mode in case.modes]


@pytest.mark.parametrize(("name", "mode"), PAIRS)
def test_every_cut_of_a_case_is_right_or_refused_with_its_reason(
    name: str, mode: str, media_folder: Path, tmp_path: Path
) -> None:
    places = None if os.environ.get("CLIPMILL_SWEEP") else USUAL[mode]
    found = judged(CASES[name], mode, media_folder, tmp_path, places)
    instead = NOT_YET.get((name, mode))
    if instead is None:
        assert [(asked.name, what) for asked, what in found if what != RIGHT] == []
    else:
        assert all(what == RIGHT or what.startswith(instead) for _, what in found)
        assert not all(what == RIGHT for _, what in found), "it is right now: take it out"
