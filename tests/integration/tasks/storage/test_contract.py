"""What every storage promises, and that nobody needs to know more of one: on a folder, and afar."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from config.values import STORAGE_SCHEMES
from tasks.errors import ArtifactExpired, StorageUnavailable
from tasks.ids import IdMaker
from tasks.storage import STORAGES, LocalFile, Presentation, Storage
from tasks.storage.folder import FolderStorage
from tests.support.loopback import LOOPBACK
from tests.support.remote_storage import RemoteStorage

new_id = IdMaker()
SHOWN = Presentation("video/mp4", 'inline; filename="a b.mp4"')


@dataclass(frozen=True)
class Case:
    """A storage, and how it goes away and comes back."""

    storage: Storage
    set_away: Callable[[bool], object]


@pytest.fixture(params=["folder", "remote"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    place = tmp_path / "place"
    if request.param == "folder":
        hidden = tmp_path / "hidden"
        storage = FolderStorage.at(place.as_uri())
        yield Case(storage, lambda away: place.rename(hidden) if away else hidden.rename(place))
    else:
        with RemoteStorage(place) as remote:
            yield Case(remote, lambda away: setattr(remote, "away", away))


@pytest.fixture
def storage(case: Case) -> Storage:
    return case.storage


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def put(storage: Storage, work: Path, content: bytes = b"media", artifact_id: str = "") -> str:
    """A file of this content; its key."""
    (work / "made").write_bytes(content)
    return storage.put(work / "made", artifact_id or new_id(), "mp4").key


def local_bytes(storage: Storage, key: str, work: Path) -> bytes:
    with storage.local(key, work) as path:
        return path.read_bytes()


def fetched(storage: Storage, key: str) -> bytes:
    """What a client gets."""
    served = storage.serve(key, SHOWN)
    if isinstance(served, LocalFile):
        return served.path.read_bytes()
    answer = httpx2.get(served.url, **LOOPBACK)
    assert answer.headers["content-type"] == SHOWN.media_type
    assert answer.headers["content-disposition"] == SHOWN.disposition
    return answer.content


def test_each_scheme_of_the_setting_has_its_storage() -> None:
    assert STORAGES.keys() == STORAGE_SCHEMES.keys()


def test_a_put_file_is_moved_in_whole_with_its_sum(storage: Storage, work: Path) -> None:
    artifact_id = new_id()
    (work / "made").write_bytes(b"media")
    stored = storage.put(work / "made", artifact_id, "mp4")
    assert stored.key == storage.key_for(artifact_id, "mp4")
    assert (stored.size_bytes, stored.sha256) == (5, hashlib.sha256(b"media").hexdigest())
    assert list(work.iterdir()) == []
    assert storage.has(stored.key)
    assert storage.has(stored.key, 5)
    assert not storage.has(stored.key, 4)


def test_a_file_is_read_here_and_by_clients(storage: Storage, work: Path) -> None:
    key = put(storage, work)
    assert local_bytes(storage, key, work) == b"media"
    assert list(work.iterdir()) == []
    with storage.open(key) as stored:
        assert stored.read() == b"media"
    assert fetched(storage, key) == b"media"


def test_putting_the_same_file_again_replaces_it(storage: Storage, work: Path) -> None:
    artifact_id = new_id()
    first = put(storage, work, b"one", artifact_id)
    assert put(storage, work, b"two", artifact_id) == first
    assert local_bytes(storage, first, work) == b"two"


def test_a_missing_result_is_no_fault_of_the_storage(storage: Storage, work: Path) -> None:
    artifact_id = new_id()
    with pytest.raises(FileNotFoundError):
        storage.put(work / "nothing", artifact_id, "mp4")
    assert not storage.has(storage.key_for(artifact_id, "mp4"))


def test_deleting_twice_is_no_fault_and_the_file_is_expired(storage: Storage, work: Path) -> None:
    key = put(storage, work)
    opened = storage.open(key)
    for _ in range(2):
        storage.delete(key)
    assert not storage.has(key)
    for use in (
        lambda: storage.open(key),
        lambda: local_bytes(storage, key, work),
        lambda: storage.serve(key, SHOWN),
    ):
        with pytest.raises(ArtifactExpired):
            use()
    with opened:
        assert opened.read() == b"media"


GOOD = f"ab/{'a' * 26}.mp4"


@pytest.mark.parametrize(
    "key",
    [
        "..", "../x", "/etc/passwd", f"../{GOOD}", f"ab/../{'a' * 26}.mp4", f"/{GOOD}",
        f"ab//{'a' * 26}.mp4", f"{GOOD}/x", f"{GOOD}\n", f"{GOOD}\0", f"ab/{'a' * 25}.mp4",
        f"ab/{'a' * 26}.", f"ab/{'a' * 26}.mp4.mp4", f"ab/{'A' * 26}.mp4", f"ab\\{'a' * 26}.mp4",
        f"ab/{'é' * 26}.mp4", f"ab/{'a' * 26}.{'x' * 9}",
    ],
)  # fmt: skip
def test_no_key_leads_elsewhere(storage: Storage, work: Path, key: str) -> None:
    for use in (
        storage.has,
        storage.delete,
        storage.open,
        lambda key: local_bytes(storage, key, work),
        lambda key: storage.serve(key, SHOWN),
    ):
        with pytest.raises(ValueError, match="not a storage key"):
            use(key)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("suffix", ["", "../x", "mp4/..", "MP4", "mp4\n"])
def test_no_suffix_leads_elsewhere(storage: Storage, work: Path, suffix: str) -> None:
    (work / "made").write_bytes(b"media")
    with pytest.raises(ValueError, match="not a storage key"):
        storage.put(work / "made", new_id(), suffix)
    assert (work / "made").exists()


def test_what_no_record_knows_goes_when_it_is_old(storage: Storage, work: Path) -> None:
    known, unknown = new_id(), new_id()
    keys = [put(storage, work, artifact_id=artifact_id) for artifact_id in (known, unknown)]

    def referenced(artifact_ids: list[str]) -> set[str]:
        return {known} & set(artifact_ids)

    assert storage.remove_unreferenced(3600, referenced) == 0
    assert all(map(storage.has, keys))
    assert storage.remove_unreferenced(-1, referenced) == 1
    assert [storage.has(key) for key in keys] == [True, False]


def test_a_storage_says_what_room_it_has_or_that_it_knows_no_limit(storage: Storage) -> None:
    storage.check()
    free = storage.free_bytes()
    assert free is None or free > 0


def test_a_storage_that_is_away_loses_nothing_and_says_so(case: Case, work: Path) -> None:
    storage = case.storage
    key = put(storage, work)
    case.set_away(True)
    for use in (
        lambda: put(storage, work),
        lambda: storage.has(key),
        lambda: storage.open(key),
        lambda: local_bytes(storage, key, work),
        lambda: storage.serve(key, SHOWN),
        lambda: storage.remove_unreferenced(-1, lambda ids: set()),
        storage.free_bytes,
        storage.check,
    ):
        with pytest.raises(StorageUnavailable):
            use()
    case.set_away(False)
    assert local_bytes(storage, key, work) == b"media"
    put(storage, work)
