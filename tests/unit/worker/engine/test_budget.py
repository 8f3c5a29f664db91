"""The memory budget: never exceeded, fair, and nobody waits for ever behind smaller ones."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from config.values import MIB
from tasks.errors import ExceedsMemoryBudget
from tests.support.processes import eventually
from worker.engine.budget import BYPASSES, MOST_BYPASSES, Budget, NoRoomYet, Wait


class Crowd:
    """Threads that hold a share of a budget until they are let go."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.inside: list[str] = []
        self._threads: list[threading.Thread] = []
        self._leave: dict[str, threading.Event] = {}

    def come(self, name: str, need_bytes: int) -> None:
        self._leave[name] = threading.Event()
        queued = len(self.budget._waiters) + len(self.inside)

        def stay() -> None:
            with self.budget.reserve(need_bytes, wait=Wait(30)):
                self.inside.append(name)
                self._leave[name].wait(30)

        thread = threading.Thread(target=stay, daemon=True)
        thread.start()
        self._threads.append(thread)
        assert eventually(lambda: len(self.budget._waiters) + len(self.inside) == queued + 1)

    def go(self, name: str) -> None:
        assert eventually(lambda: name in self.inside)
        self.inside.remove(name)
        self._leave[name].set()

    def all_go(self) -> None:
        for leave in self._leave.values():
            leave.set()
        for thread in self._threads:
            thread.join(30)


def test_what_fits_goes_in_and_gives_all_back() -> None:
    budget = Budget(100)
    with budget.reserve(60, wait=Wait(0)), budget.reserve(40, wait=Wait(0)):
        assert budget.reserved_bytes == 100
    assert budget.reserved_bytes == 0


def test_what_can_never_fit_is_refused_with_need_and_budget() -> None:
    with (
        pytest.raises(ExceedsMemoryBudget) as refused,
        Budget(64 * MIB).reserve(65 * MIB, wait=Wait(9)),
    ):
        pass
    assert refused.value.detail == {"need_bytes": 65 * MIB, "budget_bytes": 64 * MIB}
    assert "65 MiB" in refused.value.message
    assert "64 MiB" in refused.value.message


def test_a_job_that_fails_gives_its_share_back() -> None:
    budget = Budget(100)
    with pytest.raises(MemoryError), budget.reserve(100, wait=Wait(0)):
        raise MemoryError
    assert budget.reserved_bytes == 0


def test_whoever_waits_too_long_or_gives_up_leaves_no_trace() -> None:
    budget = Budget(100)
    with budget.reserve(100, wait=Wait(0)):
        with pytest.raises(NoRoomYet), budget.reserve(1, wait=Wait(0.05)):
            pass
        with pytest.raises(NoRoomYet), budget.reserve(1, wait=Wait(9, cancelled=lambda: True)):
            pass
    assert budget._waiters == []
    assert budget.reserved_bytes == 0


def test_a_wait_is_told_once_and_a_fault_in_telling_leaves_the_queue() -> None:
    budget = Budget(100)
    told = []

    def fails() -> None:
        told.append("once")
        raise OSError

    with budget.reserve(100, wait=Wait(0)):
        with pytest.raises(OSError), budget.reserve(1, wait=Wait(9, on_wait=fails)):  # noqa: PT011 - the very one raised above
            pass
        assert (told, budget._waiters) == (["once"], [])


def test_a_small_one_may_pass_a_large_one_but_only_so_often() -> None:
    budget = Budget(100)
    crowd = Crowd(budget)
    crowd.come("first", 60)
    crowd.come("large", 90)
    for number in range(BYPASSES):
        crowd.come(f"small{number}", 30)
        crowd.go(f"small{number}")
    crowd.come("one too many", 30)
    time.sleep(0.1)
    assert crowd.inside == ["first"]
    crowd.go("first")
    assert eventually(lambda: crowd.inside == ["large"])
    crowd.go("large")
    assert eventually(lambda: crowd.inside == ["one too many"])
    crowd.all_go()


@pytest.mark.parametrize("patience", [0.01, 0.2])
def test_small_ones_without_end_hold_a_large_one_up_only_so_long(patience: float) -> None:
    """However often the patience ends meanwhile, for nobody else could take the large one."""
    budget, begun, asked = Budget(400), [0], []
    large_is_in = threading.Event()

    def small_ones() -> None:
        while not large_is_in.is_set():
            with budget.reserve(130, wait=Wait(30)):
                begun[0] += 1
                large_is_in.wait(0.05)

    def nobody_could() -> bool:
        asked.append(begun[0])
        return False

    slots = [threading.Thread(target=small_ones, daemon=True) for _ in range(3)]
    for slot in slots:
        slot.start()
    assert eventually(lambda: budget.reserved_bytes == 390)
    before = begun[0]
    with budget.reserve(380, wait=Wait(patience, elsewhere=nobody_could)):
        large_is_in.set()
        assert begun[0] - before <= BYPASSES + len(slots)
    assert asked or patience > 0.1
    for slot in slots:
        slot.join(30)


def test_who_goes_elsewhere_takes_along_how_often_it_was_passed() -> None:
    budget = Budget(100)
    crowd = Crowd(budget)
    crowd.come("first", 60)
    going = threading.Event()
    left: list[int] = []

    def wait() -> None:
        try:
            with budget.reserve(90, wait=Wait(0.05, elsewhere=going.is_set, times_bypassed=3)):
                raise AssertionError("there was no room")
        except NoRoomYet as full:
            left.append(full.times_bypassed)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert eventually(lambda: len(budget._waiters) == 1)
    for number in range(2):
        crowd.come(f"small{number}", 30)
        crowd.go(f"small{number}")
    going.set()
    thread.join(10)
    assert left == [3 + 2 + 1]  # that it goes away counts as well
    crowd.all_go()


def test_who_was_passed_elsewhere_too_often_is_passed_here_no_more() -> None:
    budget = Budget(100)
    with budget.reserve(60, wait=Wait(0)):
        waiting = threading.Event()
        wait = Wait(30, on_wait=waiting.set, times_bypassed=BYPASSES)
        large = threading.Thread(target=hold, args=(budget, 90, wait), daemon=True)
        large.start()
        assert waiting.wait(10)
        with pytest.raises(NoRoomYet), budget.reserve(30, wait=Wait(0.1)):
            raise AssertionError("it passed")
    large.join(10)
    assert not large.is_alive()


def test_who_was_sent_elsewhere_too_often_stays() -> None:
    budget = Budget(100)
    with budget.reserve(60, wait=Wait(0)):
        wait = Wait(0.01, times_bypassed=MOST_BYPASSES)
        large = threading.Thread(target=hold, args=(budget, 90, wait), daemon=True)
        large.start()
        large.join(0.3)
        assert large.is_alive()
    large.join(10)
    assert not large.is_alive()


def hold(budget: Budget, need_bytes: int, wait: Wait) -> None:
    """Wait for a share, and give it back."""
    with budget.reserve(need_bytes, wait=wait):
        pass


def test_equals_go_in_the_order_they_came() -> None:
    budget = Budget(100)
    crowd = Crowd(budget)
    for number in range(4):
        crowd.come(str(number), 100)
    for number in range(4):
        assert eventually(lambda number=number: crowd.inside == [str(number)])
        crowd.go(str(number))
    crowd.all_go()


def test_many_threads_never_exceed_the_budget_and_all_come_in() -> None:
    budget = Budget(1000)
    most: list[int] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(30):
            with budget.reserve(chance.randint(1, 1000), wait=Wait(60)):
                most.append(budget.reserved_bytes)

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 12 * 30
    assert max(most) <= 1000
    assert budget.reserved_bytes == 0


def test_no_more_encoders_run_than_there_are_cores() -> None:
    budget = Budget(1000, 2)
    with budget.reserve(1, 1, wait=Wait(0)), budget.reserve(1, 1, wait=Wait(0)):
        with pytest.raises(NoRoomYet), budget.reserve(1, 1, wait=Wait(0.05)):
            raise AssertionError("three on two cores")
        with budget.reserve(1, wait=Wait(0)):
            assert budget.reserved_bytes == 3
    with budget.reserve(1, 8, wait=Wait(0)):
        assert budget.reserved_bytes == 1


def test_who_needs_no_core_passes_those_who_wait_for_one_any_number_of_times() -> None:
    budget = Budget(1000, 1)
    waiting = threading.Event()
    with budget.reserve(1, 1, wait=Wait(0)):
        second = threading.Thread(target=hold_a_core, args=(budget, waiting.set))
        second.start()
        assert waiting.wait(5)
        for _ in range(5 * BYPASSES):
            with budget.reserve(1, wait=Wait(0)):
                pass
    second.join(10)
    assert not second.is_alive()
    assert budget.reserved_bytes == 0


def hold_a_core(budget: Budget, on_wait: Callable[[], None]) -> None:
    """Wait for a core, and give it back."""
    with budget.reserve(1, 1, wait=Wait(30, on_wait=on_wait)):
        pass


def test_an_exchange_gives_back_before_it_waits_so_that_two_cannot_block_each_other() -> None:
    budget = Budget(100)
    both_in, most = threading.Barrier(2, timeout=10), []

    def grow() -> None:
        with budget.reserve(50, wait=Wait(10)) as reservation:
            both_in.wait()
            reservation.exchange(90, wait=Wait(10))
            most.append(budget.reserved_bytes)

    threads = [threading.Thread(target=grow, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [90, 90]
    assert budget.reserved_bytes == 0


def test_an_exchange_stands_behind_those_who_wait_already() -> None:
    budget = Budget(100)
    crowd = Crowd(budget)
    with budget.reserve(60, wait=Wait(0)) as reservation:
        crowd.come("earlier", 80)
        with pytest.raises(NoRoomYet):
            reservation.exchange(70, wait=Wait(0.2))
        assert eventually(lambda: crowd.inside == ["earlier"])
        assert budget.reserved_bytes == 80
    crowd.all_go()
    assert budget.reserved_bytes == 0


def test_an_exchange_for_what_can_never_fit_is_refused_and_leaves_nothing() -> None:
    budget = Budget(100, 2)
    with budget.reserve(50, 2, wait=Wait(0)) as reservation:
        with pytest.raises(ExceedsMemoryBudget):
            reservation.exchange(101, 1, wait=Wait(0))
        assert budget.reserved_bytes == 0
        with budget.reserve(100, 2, wait=Wait(0)):
            pass
    assert budget.reserved_bytes == 0


def test_an_exchange_for_less_waits_for_nobody() -> None:
    budget = Budget(100, 2)
    crowd = Crowd(budget)
    with budget.reserve(60, 2, wait=Wait(0)) as reservation:
        crowd.come("earlier", 80)
        reservation.exchange(50, 1, wait=Wait(0))
        assert budget.reserved_bytes == 60
    crowd.all_go()


def test_an_exchange_that_fits_takes_other_cores_too() -> None:
    budget = Budget(100, 2)
    with budget.reserve(60, 2, wait=Wait(0)) as reservation:
        reservation.exchange(90, 1, wait=Wait(0))
        with budget.reserve(10, 1, wait=Wait(0)):
            assert budget.reserved_bytes == 100
    assert budget.reserved_bytes == 0
