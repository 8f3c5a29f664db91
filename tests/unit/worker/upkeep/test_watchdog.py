"""The watchdog: it ends a worker that stands still, and no other."""

from __future__ import annotations

from config.timings import PRODUCTION
from worker.upkeep.watchdog import Watchdog

PATIENCE_LOOKS = PRODUCTION.watchdog_patience_looks


class Life:
    """Two signs of life and what the watchdog thinks of them."""

    def __init__(self) -> None:
        self.beats, self.pulses = 0, 0
        self.store_answers = True
        self.cancelled = 0
        self.dog = Watchdog(
            {"heartbeat": lambda: self.beats, "consumer": lambda: self.pulses},
            lambda: self.store_answers,
            self._give_up,
        )

    def _give_up(self) -> None:
        self.cancelled += 1


def test_a_living_worker_is_left_alone() -> None:
    life = Life()
    for _ in range(10 * PATIENCE_LOOKS):
        life.beats += 1
        life.pulses += 1
        life.dog.round()
    assert life.cancelled == 0


def test_one_sign_that_stands_still_is_the_end() -> None:
    life = Life()
    for _ in range(PATIENCE_LOOKS):
        assert life.cancelled == 0
        life.beats += 1
        life.dog.round()
    assert life.cancelled == 1


def test_a_late_sign_of_life_counts() -> None:
    life = Life()
    for _ in range(4):
        for _ in range(PATIENCE_LOOKS - 1):
            life.dog.round()
        life.beats += 1
        life.pulses += 1
        life.dog.round()
    assert life.cancelled == 0


def test_while_the_store_is_away_nobody_is_blamed() -> None:
    life = Life()
    life.store_answers = False
    for _ in range(3 * PATIENCE_LOOKS):
        life.dog.round()
    life.store_answers = True
    for _ in range(PATIENCE_LOOKS - 1):
        life.dog.round()
    assert life.cancelled == 0
    life.dog.round()
    assert life.cancelled == 1


def test_after_an_outage_that_ends_late_everyone_gets_the_time_to_come_back() -> None:
    life = Life()
    life.store_answers = False
    for _ in range(PATIENCE_LOOKS - 1):
        life.dog.round()
    life.store_answers = True
    for _ in range(PATIENCE_LOOKS - PRODUCTION.watchdog_ask_looks):
        life.dog.round()
    assert life.cancelled == 0
