"""Requests that wait are counted, so that some threads stay free for the others."""

from __future__ import annotations

import pytest

from web.http.errors import TooManyTransfers, TooManyWaiting
from web.http.services import TransferSlots, WaitingSlots


def test_who_finds_no_place_is_refused_until_one_is_free() -> None:
    slots = WaitingSlots(count=2)
    slots.enter()
    with slots.slot(), pytest.raises(TooManyWaiting):
        slots.enter()
    with slots.slot():
        pass


def test_a_place_is_given_back_when_waiting_fails() -> None:
    slots = WaitingSlots(count=1)
    with pytest.raises(ValueError, match="no"), slots.slot():
        raise ValueError("no")
    slots.enter()


def test_a_room_for_files_refuses_in_its_own_words() -> None:
    slots = TransferSlots(count=1)
    with slots.slot(), pytest.raises(TooManyTransfers, match="files"):
        slots.enter()
