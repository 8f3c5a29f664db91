"""Requests that wait are counted, so that some threads stay free for the others."""

from __future__ import annotations

import pytest

from config.memory import MOST_WAITING
from config.settings import load_settings
from web.http.errors import TooManyTransfers, TooManyWaiting
from web.http.services import TransferRoom, WaitingRoom
from web.server import threads_for


def test_who_finds_no_place_is_refused_until_one_is_free() -> None:
    room = WaitingRoom(places=2)
    room.enter()
    with room.place(), pytest.raises(TooManyWaiting):
        room.enter()
    with room.place():
        pass


def test_a_place_is_given_back_when_waiting_fails() -> None:
    room = WaitingRoom(places=1)
    with pytest.raises(ValueError, match="no"), room.place():
        raise ValueError("no")
    room.enter()


def test_the_server_has_threads_left_when_every_place_is_taken() -> None:
    for transfers in (1, 70, 5000):
        settings = load_settings({"CLIPMILL_MAX_TRANSFERS": str(transfers)})
        assert threads_for(settings) - MOST_WAITING - transfers >= 50


def test_a_room_for_files_refuses_in_its_own_words() -> None:
    room = TransferRoom(places=1)
    with room.place(), pytest.raises(TooManyTransfers, match="files"):
        room.enter()
