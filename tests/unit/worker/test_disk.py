"""The disk: promises count at once, and the youngest job stops when it runs full all the same."""

from __future__ import annotations

import pytest

from worker.disk import Disk, NoRoomOnDisk
from worker.supervision import End, Stop


class Room:
    """A disk whose free space the test sets."""

    def __init__(self, free_bytes: int, least_bytes: int) -> None:
        self.free_bytes = free_bytes
        self.disk = Disk(lambda: self.free_bytes, least_bytes)


def test_jobs_share_what_is_free_above_the_least() -> None:
    room = Room(free_bytes=300, least_bytes=100)
    with (
        room.disk.room(120, Stop()),
        room.disk.room(80, Stop()),
        pytest.raises(NoRoomOnDisk),
        room.disk.room(1, Stop()),
    ):
        pass
    with room.disk.room(200, Stop()):
        pass


def test_a_job_that_fails_gives_its_promise_back() -> None:
    room = Room(free_bytes=200, least_bytes=100)
    with pytest.raises(ValueError, match="x"), room.disk.room(100, Stop()):
        raise ValueError("x")
    with room.disk.room(100, Stop()):
        pass


def test_the_youngest_stops_first_and_one_at_a_time() -> None:
    room = Room(free_bytes=1000, least_bytes=100)
    old, young = Stop(), Stop()
    with room.disk.room(1, old), room.disk.room(1, young):
        room.disk.round()
        assert young.reason is None
        room.free_bytes = 49
        room.disk.round()
        assert (old.reason, young.reason) == (None, End.DISK)
        room.disk.round()
        assert old.reason is End.DISK
        room.disk.round()


def test_with_no_least_nobody_is_refused_or_stopped() -> None:
    room = Room(free_bytes=0, least_bytes=0)
    stop = Stop()
    with room.disk.room(10**9, stop):
        room.disk.round()
    assert stop.reason is None
