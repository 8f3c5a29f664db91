"""The disk: promises count at once; the job that grew stops when it runs full all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import StorageUnavailable
from tasks.storage import open_storage
from worker.engine.disk import Disk, NoRoomOnDisk
from worker.process.limits import ProcessEnd, Stop


class Room:
    """A disk whose free space the test sets."""

    def __init__(self, free_bytes: int, least_bytes: int) -> None:
        self.free_bytes = free_bytes
        self.storage_free_bytes = 10**12
        self.used: dict[str, int] = {}
        self.disk = Disk(
            lambda: self.free_bytes,
            lambda: self.storage_free_bytes,
            least_bytes,
            used_bytes=lambda name: self.used.get(name, 0),
        )


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


def test_the_job_that_grew_stops_and_not_the_youngest() -> None:
    room = Room(free_bytes=1000, least_bytes=100)
    grown, young = Stop(), Stop()
    with room.disk.room(100, grown, "grown"), room.disk.room(500, young, "young"):
        room.free_bytes, room.used = 49, {"grown": 300, "young": 400}
        room.disk.round()
        assert (grown.reason, young.reason) == (ProcessEnd.DISK, None)


def test_of_jobs_within_their_promise_the_youngest_stops_first_and_one_at_a_time() -> None:
    room = Room(free_bytes=1000, least_bytes=100)
    old, young = Stop(), Stop()
    with room.disk.room(1, old), room.disk.room(1, young):
        room.disk.round()
        assert young.reason is None
        room.free_bytes = 49
        room.disk.round()
        assert (old.reason, young.reason) == (None, ProcessEnd.DISK)
        room.disk.round()
        assert old.reason is ProcessEnd.DISK
        room.disk.round()


def test_with_no_least_nobody_is_refused_or_stopped() -> None:
    room = Room(free_bytes=0, least_bytes=0)
    stop = Stop()
    with room.disk.room(10**9, stop):
        room.disk.round()
    assert stop.reason is None


def test_nothing_starts_while_artifacts_have_no_room_and_what_runs_goes_on() -> None:
    room = Room(free_bytes=1000, least_bytes=100)
    stop = Stop()
    with room.disk.room(1, stop):
        room.storage_free_bytes = 0
        room.disk.round()
        with pytest.raises(NoRoomOnDisk), room.disk.room(1, Stop()):
            pass
    assert stop.reason is None
    room.storage_free_bytes = 100
    with room.disk.room(1, Stop()):
        pass


def test_a_storage_that_is_gone_has_no_room_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    disk = Disk(lambda: 1, open_storage(folder.as_uri()).free_bytes, 0)
    assert (disk.storage_bytes() or 0) > 0
    folder.rename(tmp_path / "away")
    assert disk.storage_bytes() == 0
    with pytest.raises(StorageUnavailable), disk.room(1, Stop()):
        pass
    (tmp_path / "away").rename(folder)
    assert (disk.storage_bytes() or 0) > 0
    with disk.room(1, Stop()):
        pass


def test_a_storage_without_a_known_limit_holds_nothing_up() -> None:
    disk = Disk(lambda: 1000, lambda: None, least_bytes=100)
    with disk.room(1, Stop()):
        assert disk.storage_bytes() is None
