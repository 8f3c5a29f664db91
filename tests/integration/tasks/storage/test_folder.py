"""Files in a folder: whole or not there, wherever they come from and however full the disk is."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import StorageFull, StorageUnavailable
from tasks.ids import IdMaker
from tasks.storage.folder import FolderStorage
from tests.architecture.source import ROOT
from tests.support.processes import eventually
from tests.support.volumes import small_volume

MIB = 1024**2
new_id = IdMaker()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one, with a name that a URL spells otherwise."""
    folder = tmp_path / "a folder"
    FolderStorage.at(folder.as_uri())
    return folder


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


def test_a_put_file_is_the_only_one_in_the_folder(folder: Path, tmp_path: Path) -> None:
    artifact_id = new_id()
    stored = FolderStorage(folder).put(source(tmp_path), artifact_id, "mp4")
    assert files_in(folder) == {f"{artifact_id}.mp4"}
    assert (folder / stored.key).read_bytes() == b"media"
    FolderStorage(folder).put(source(tmp_path), artifact_id, "mp4")
    assert files_in(folder) == {f"{artifact_id}.mp4"}


# Puts a file, and is killed by the kernel when it has written so many bytes of it.
HALF_A_PUT = """
import resource, signal, sys
from pathlib import Path
from tasks.storage.folder import FolderStorage
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
FolderStorage(Path(sys.argv[2])).put(Path(sys.argv[3]), sys.argv[4], "mp4")
"""


def test_strangers_on_the_machine_may_not_read_files(folder: Path, tmp_path: Path) -> None:
    put = source(tmp_path)
    put.chmod(0o666)
    stored = FolderStorage(folder).put(put, new_id(), "mp4")
    path = folder / stored.key
    modes = [stat.S_IMODE(it.stat().st_mode) for it in (path, path.parent, folder)]
    assert modes == [0o640, 0o750, 0o750]


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
    storage = FolderStorage(small_disk)
    assert not storage.has(storage.key_for(artifact_id, "mp4"))
    assert path.stat().st_size == 600_000


def test_a_reader_never_sees_part_of_a_file(tmp_path: Path) -> None:
    content, artifact_id = os.urandom(32 * MIB), new_id()
    with small_volume(tmp_path / "disk", "80m") as volume:
        storage = FolderStorage(volume.path)
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
    storage = FolderStorage(small_disk)
    path = source(tmp_path)
    with pytest.raises(OSError, match="cross-device") as caught:
        path.rename(small_disk / "x")
    assert caught.value.errno == errno.EXDEV
    stored = storage.put(path, new_id(), "mp4")
    assert (small_disk / stored.key).read_bytes() == b"media"
    assert not path.exists()


def test_a_full_disk_keeps_no_part_of_a_file(small_disk: Path, tmp_path: Path) -> None:
    storage = FolderStorage(small_disk)
    first = storage.put(source(tmp_path, b"a" * 600_000), new_id(), "mp4")
    path = source(tmp_path, b"b" * 600_000)
    with pytest.raises(StorageFull):
        storage.put(path, new_id(), "mp4")
    assert files_in(small_disk) == {Path(first.key).name}
    assert (small_disk / first.key).stat().st_size == 600_000
    assert path.stat().st_size == 600_000  # the attempt may put it again
    storage.delete(first.key)
    storage.put(path, new_id(), "mp4")


def test_a_disk_without_a_free_inode_is_full(tmp_path: Path) -> None:
    with small_volume(tmp_path / "few", "1m", inodes=2) as volume:
        with pytest.raises(StorageFull):
            FolderStorage(volume.path).put(source(tmp_path), new_id(), "mp4")
        assert files_in(volume.path) == set()


def test_what_cannot_be_put_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    storage = FolderStorage(folder)
    with pytest.raises(FileNotFoundError):
        storage.put(tmp_path / "nothing", new_id(), "mp4")
    with pytest.raises(ValueError, match="not a storage key"):
        storage.put(source(tmp_path), new_id(), "../x")
    assert files_in(folder) == set()


def test_a_file_on_this_machine_needs_no_copy(folder: Path, tmp_path: Path) -> None:
    storage, copies = FolderStorage(folder), tmp_path / "copies"
    copies.mkdir()
    stored = storage.put(source(tmp_path), new_id(), "mp4")
    with storage.local(stored.key, copies) as path:
        assert path == folder / stored.key
        assert list(copies.iterdir()) == []
    assert path.exists()


def test_the_check_tells_why_files_cannot_be_written(folder: Path) -> None:
    storage = FolderStorage(folder)
    storage.check()
    assert files_in(folder) == set()
    folder.rmdir()
    with pytest.raises(StorageUnavailable, match="cannot be stored: No such file"):
        storage.check()
    with pytest.raises(StorageUnavailable):
        storage.free_bytes()
    assert not folder.exists()


def test_a_disk_without_room_for_a_probe_is_full(tmp_path: Path) -> None:
    with (
        small_volume(tmp_path / "few", "1m", inodes=1) as volume,
        pytest.raises(StorageFull, match="No space left"),
    ):
        FolderStorage(volume.path).check()
