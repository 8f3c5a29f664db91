"""A short storm: every kind of process, link and disk is hit while jobs come in, and all holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Form, run

pytestmark = pytest.mark.race


@pytest.mark.timeout(240)
def test_everything_holds_in_a_short_storm(tmp_path: Path) -> None:
    outcome = run(tmp_path / "w", 18, Form(jobs=40, faults=10, seconds=12, quick=True))
    assert outcome.broken == []
    assert outcome.jobs >= 40
