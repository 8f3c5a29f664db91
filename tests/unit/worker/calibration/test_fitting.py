"""From peaks to the table."""

from __future__ import annotations

import pytest

from config.values import MIB
from worker.calibration.fitting import LEAST_MARGIN, MOST_MARGIN, Peak, fitted, margin_of
from worker.memory.model import Terms

TRUE = {"tool": 40.0, "decode": 5.0, "encode": 30.0}


def peak(terms: Terms, wrong: float = 1.0) -> Peak:
    return Peak(
        terms, round(sum(TRUE[name] * units for name, units in terms.items()) * wrong * MIB)
    )


PEAKS = [
    peak({"tool": 1, "decode": size, "encode": size * share})
    for size in (0.3, 1.3, 3.0, 12.0)
    for share in (0.1, 1.0)
]


def test_peaks_that_follow_the_model_tell_every_term() -> None:
    assert fitted(PEAKS, {}) == pytest.approx(TRUE, rel=0.01)


def test_a_term_that_was_not_measured_keeps_its_value() -> None:
    found = fitted(PEAKS, {**TRUE, "tone mapping": 25.0})

    assert found == pytest.approx({**TRUE, "tone mapping": 25.0}, rel=0.01)


def test_a_wrong_table_before_hardly_matters_where_there_are_peaks() -> None:
    wrong = dict.fromkeys(TRUE, 20.0)

    assert fitted(PEAKS, wrong) == pytest.approx(TRUE, rel=0.02)


def test_no_term_is_negative() -> None:
    odd = [*PEAKS, Peak({"tool": 1, "odd": 1}, 30 * MIB), Peak({"tool": 1, "odd": 2}, 25 * MIB)]

    assert min(fitted(odd, {}).values()) >= 0


def test_the_margin_lifts_the_estimates_to_the_worst_peak_within_bounds() -> None:
    assert margin_of(PEAKS, TRUE) == LEAST_MARGIN
    assert margin_of([*PEAKS, peak({"tool": 1}, 1.12)], TRUE) == pytest.approx(1.075, abs=0.002)
    assert margin_of([*PEAKS, peak({"tool": 1}, 3.0)], TRUE) == MOST_MARGIN
