"""Which timestamps belong to a range."""

from fractions import Fraction

import pytest

from worker.pyav.window import Window, seconds


def _holds(window: Window, pts: int) -> bool:
    return window.first <= pts < window.past


@pytest.mark.parametrize("rate", [Fraction(1, 90_000), Fraction(1, 1000), Fraction(1, 12_800)])
def test_a_frame_at_the_start_belongs_and_one_at_the_end_does_not(rate):
    window = Window(rate, Fraction(0), seconds(1.0), seconds(2.0))
    assert _holds(window, round(1 / rate))
    assert not _holds(window, round(2 / rate))


def test_half_a_millisecond_of_rounding_is_forgiven():
    window = Window(Fraction(1, 100_000), Fraction(0), seconds(1.0), seconds(2.0))
    assert _holds(window, 99_950)
    assert not _holds(window, 99_949)
    assert _holds(window, 199_949)
    assert not _holds(window, 199_950)


def test_zero_is_the_containers_start_time():
    window = Window(Fraction(1, 1000), Fraction(7, 5), seconds(0.0), seconds(1.0))
    assert _holds(window, 1400)
    assert not _holds(window, 1399)
    assert window.time(1500) == Fraction(1, 10)


def test_a_clients_decimal_means_the_decimal():
    assert seconds(0.1) == Fraction(1, 10)
    assert seconds(12.345) == Fraction(12_345, 1000)
