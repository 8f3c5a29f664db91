"""Files in storage: whole or not there, wherever they come from and however full the disk is."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import ArtifactExpired, StorageFull
from tasks.ids import IdMaker
from tasks.storage import Storage
from tests.architecture.source import ROOT
from tests.support.processes import eventually
from tests.support.volumes import small_volume

MIB = 1024**2
new_id = IdMaker()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.at((tmp_path / "a folder").as_uri())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    with small_volume(tmp_path / "small", "1m") as volume:
        yield volume.path


def source(folder: Path, content: bytes = b"media", name: str = "result.mp4") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_put_file_is_there_whole_with_its_sum(storage: Storage, tmp_path: Path) -> None:
    artifact_id = new_id()
    stored = storage.put(source(tmp_path), artifact_id, "mp4")
    assert stored.key == storage.key_for(artifact_id, "mp4")
    assert storage.path(stored.key).read_bytes() == b"media"
    assert (stored.size_bytes, stored.sha256) == (5, hashlib.sha256(b"media").hexdigest())
    assert not (tmp_path / "result.mp4").exists()
    assert files_in(storage.root) == {f"{artifact_id}.mp4"}


# Puts a file, and is killed by the kernel when it has written so many bytes of it.
HALF_A_PUT = """
import resource, signal, sys
from pathlib import Path
from tasks.storage import Storage
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
Storage(Path(sys.argv[2])).put(Path(sys.argv[3]), sys.argv[4], "mp4")
"""


def test_in_the_middle_of_a_put_nothing_is_under_the_files_name(
    small_disk: Path, tmp_path: Path
) -> None:
    """From another disk a file is copied, and what is written of it by then stays to be seen."""
    path, artifact_id, half = source(tmp_path, b"x" * 600_000), new_id(), 300_000
    arguments = [str(half), str(small_disk), str(path), artifact_id]
    # -B: its own bytecode would be a file that it writes, too.
    ended = subprocess.run([sys.executable, "-B", "-c", HALF_A_PUT, *arguments], cwd=ROOT)
    assert ended.returncode == -signal.SIGXFSZ
    written = {file.name: file.stat().st_size for file in small_disk.rglob("*") if file.is_file()}
    assert list(written.values()) == [half]
    assert not Storage(small_disk).has(Storage(small_disk).key_for(artifact_id, "mp4"))
    assert path.stat().st_size == 600_000


def test_a_reader_never_sees_part_of_a_file(tmp_path: Path) -> None:
    content, artifact_id = os.urandom(32 * MIB), new_id()
    with small_volume(tmp_path / "disk", "80m") as volume:
        storage = Storage(volume.path)
        target = volume.path / storage.key_for(artifact_id, "mp4")
        whole: list[bool] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    whole.append(target.read_bytes() == content)
                except FileNotFoundError:  # not there yet, or not any more
                    continue

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(8):
                before = len(whole)
                storage.put(source(tmp_path, content), artifact_id, "mp4")
                assert eventually(lambda before=before: len(whole) > before, 30)
                storage.delete(storage.key_for(artifact_id, "mp4"))
        finally:
            done.set()
            reader.join()
    assert len(whole) >= 8
    assert all(whole)


def test_a_file_from_another_disk_is_moved_too(small_disk: Path, tmp_path: Path) -> None:
    storage = Storage(small_disk)
    path = source(tmp_path)
    with pytest.raises(OSError, match="cross-device") as caught:
        path.rename(small_disk / "x")
    assert caught.value.errno == errno.EXDEV
    stored = storage.put(path, new_id(), "mp4")
    assert storage.path(stored.key).read_bytes() == b"media"
    assert not path.exists()


def test_a_full_disk_keeps_no_part_of_a_file(small_disk: Path, tmp_path: Path) -> None:
    storage = Storage(small_disk)
    first = storage.put(source(tmp_path, b"a" * 600_000), new_id(), "mp4")
    path = source(tmp_path, b"b" * 600_000)
    with pytest.raises(StorageFull):
        storage.put(path, new_id(), "mp4")
    assert files_in(small_disk) == {Path(first.key).name}
    assert storage.path(first.key).stat().st_size == 600_000
    assert path.stat().st_size == 600_000  # the attempt may put it again
    storage.delete(first.key)
    storage.put(path, new_id(), "mp4")


def test_a_disk_without_a_free_inode_is_full(tmp_path: Path) -> None:
    with small_volume(tmp_path / "few", "1m", inodes=2) as volume:
        with pytest.raises(StorageFull):
            Storage(volume.path).put(source(tmp_path), new_id(), "mp4")
        assert files_in(volume.path) == set()


def test_putting_the_same_file_again_replaces_it(storage: Storage, tmp_path: Path) -> None:
    artifact_id = new_id()
    storage.put(source(tmp_path, b"one"), artifact_id, "mp4")
    stored = storage.put(source(tmp_path, b"two"), artifact_id, "mp4")
    assert storage.path(stored.key).read_bytes() == b"two"
    assert len(files_in(storage.root)) == 1


def test_a_missing_result_is_not_a_full_disk(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.put(tmp_path / "nothing", new_id(), "mp4")
    assert files_in(storage.root) == set()


GOOD = f"ab/{'a' * 26}.mp4"


@pytest.mark.parametrize(
    "key",
    [
        "", "..", "../x", "/etc/passwd", f"../{GOOD}", f"ab/../{'a' * 26}.mp4", f"/{GOOD}",
        f"ab//{'a' * 26}.mp4", f"{GOOD}/x", f"{GOOD}\n", f"{GOOD}\0", f"ab/{'a' * 25}.mp4",
        f"ab/{'a' * 26}.", f"ab/{'a' * 26}.mp4.mp4", f"ab/{'A' * 26}.mp4", f"ab\\{'a' * 26}.mp4",
        f"ab/{'é' * 26}.mp4", f"ab/{'a' * 26}.{'x' * 9}",
    ],
)  # fmt: skip
def test_no_key_leads_out_of_the_folder(storage: Storage, tmp_path: Path, key: str) -> None:
    for use in (storage.path, storage.has, storage.delete):
        with pytest.raises(ValueError, match="not a storage key"):
            use(key)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("suffix", ["", "../x", "mp4/..", "MP4", "mp4\n"])
def test_no_suffix_leads_out_of_the_folder(storage: Storage, tmp_path: Path, suffix: str) -> None:
    path = source(tmp_path)
    with pytest.raises(ValueError, match="not a storage key"):
        storage.put(path, new_id(), suffix)
    assert path.exists()


def test_deleting_twice_is_no_fault_and_the_file_is_expired(
    storage: Storage, tmp_path: Path
) -> None:
    stored = storage.put(source(tmp_path), new_id(), "mp4")
    assert storage.has(stored.key)
    for _ in range(2):
        storage.delete(stored.key)
    assert not storage.has(stored.key)
    with pytest.raises(ArtifactExpired):
        storage.path(stored.key)


def test_the_check_tells_whether_files_can_be_written(storage: Storage, tmp_path: Path) -> None:
    storage.check()
    assert files_in(storage.root) == set()
    assert storage.free_bytes() > 0
    with pytest.raises(OSError, match="No such file"):
        Storage(tmp_path / "gone").check()
