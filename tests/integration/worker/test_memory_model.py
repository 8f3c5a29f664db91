"""The shipped table beside real clips of this machine; `make bench PARTS=memory` has ten times as
many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.memory.measured import HIGHEST, LOWEST, measured
from tests.support.memory.sweep import short_trials
from worker.calibration.__main__ import calibrated
from worker.calibration.trial import Trial
from worker.calibration.trials import sample, small, trial
from worker.memory.table import read_table, shipped_table


@pytest.mark.parametrize("clip", short_trials(), ids=str)
def test_the_estimate_of_a_real_clip_lies_in_the_band(clip: Trial, media_folder: Path) -> None:
    row = measured(clip, media_folder, shipped_table())

    assert LOWEST <= row.ratio <= HIGHEST, row


def test_a_calibration_fits_the_table_to_this_machine(tmp_path: Path) -> None:
    trials = [small(sample(360)), trial(sample(360), quality="high"), trial(sample(360), "auto")]

    table, rows = calibrated(trials, tmp_path)

    table.write(tmp_path / "table.json")
    again = read_table(tmp_path / "table.json")
    assert again.mib.keys() == shipped_table().mib.keys()
    assert again.measured["peaks"] == len(rows) == 9
    for name, (terms, peak_bytes) in rows:
        assert 0.9 <= again.bytes_of(terms) / peak_bytes <= 1.2, name
