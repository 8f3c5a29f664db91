"""Requests that last are counted, in all and for each caller, so that others find a place."""

from __future__ import annotations

import pytest

from config.settings import load_settings
from web.http.errors import TooManyTransfers, TooManyWaiting
from web.http.slots import Places, Slots


def slots(count: int, *, shared: bool = False) -> Slots:
    return Slots(count, TooManyWaiting, "too many wait", shared=shared)


def test_who_finds_no_place_is_refused_until_one_is_free() -> None:
    few = slots(2)
    few.enter("ann")
    with few.slot("bob"), pytest.raises(TooManyWaiting):
        few.enter("eve")
    with few.slot("eve"):
        pass


def test_a_place_is_given_back_when_waiting_fails() -> None:
    one = slots(1)
    with pytest.raises(ValueError, match="no"), one.slot("ann"):
        raise ValueError("no")
    one.enter("ann")


def test_one_caller_never_takes_all_places_where_callers_have_keys() -> None:
    shared = slots(8, shared=True)
    held = [shared.enter("ann") for _ in range(6)]
    with pytest.raises(TooManyWaiting, match="this key alone"):
        shared.enter("ann")
    with shared.slot("bob"), shared.slot("bob"), pytest.raises(TooManyWaiting):
        shared.enter("eve")
    held[0]()
    shared.enter("ann")


def test_the_one_caller_without_keys_may_have_all() -> None:
    alone = slots(4)
    for _ in range(4):
        alone.enter("local")


def test_each_sort_refuses_in_its_own_words() -> None:
    places = Places.by(load_settings({"CLIPMILL_MAX_TRANSFERS": "1"}))
    with places.transfers.slot("ann"), pytest.raises(TooManyTransfers, match="files"):
        places.transfers.enter("bob")
