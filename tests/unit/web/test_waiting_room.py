"""Requests that wait are counted, so that some threads stay free for the others."""

from __future__ import annotations

import pytest

from web.errors import TooManyWaiting
from web.server import _THREADS
from web.services import MOST_WAITING, WaitingRoom


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
    assert _THREADS - MOST_WAITING >= 50
