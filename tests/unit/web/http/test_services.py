"""Requests that wait are counted, so that some threads stay free for the others."""

from __future__ import annotations

import pytest

from config.memory import MOST_WAITING
from config.settings import load_settings
from web.http.errors import TooManyTransfers, TooManyWaiting
from web.http.services import TransferSlots, WaitingSlots
from web.server import threads_for


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


def test_the_server_has_threads_left_when_every_place_is_taken() -> None:
    for transfers in (1, 70, 5000):
        settings = load_settings({"CLIPMILL_MAX_TRANSFERS": str(transfers)})
        assert threads_for(settings) - MOST_WAITING - transfers >= 50


def test_a_room_for_files_refuses_in_its_own_words() -> None:
    slots = TransferSlots(count=1)
    with slots.slot(), pytest.raises(TooManyTransfers, match="files"):
        slots.enter()
