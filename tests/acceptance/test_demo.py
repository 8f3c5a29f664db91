"""The demonstration and `clipmill up`, as programs of their own, the way people start them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import httpx2
import psutil
import pytest

from tests.support.loopback import LOOPBACK
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers

DEMO_SECONDS = 150


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """This one, without settings of ours, and with temporary files in the folder."""
    (folder / "tmp").mkdir(exist_ok=True)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLIPMILL_")}
    return kept | {"TMPDIR": str(folder / "tmp")} | settings


def demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clipmill", "demo", *words],
        cwd=folder, env=environment(folder), timeout=DEMO_SECONDS, capture_output=True, text=True,
    )  # fmt: skip


def mentioning(folder: Path) -> list[str]:
    """Command lines or current folders of processes that have to do with this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except psutil.Error:
            continue
        if str(folder) in " ".join(words):
            found.append(" ".join(words))
    return found


def frames_in(path: Path) -> int:
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


def test_the_demonstration_leaves_its_clips_and_nothing_else(tmp_path: Path) -> None:
    done = demo(tmp_path, "--seconds", "60", "--clips", "3", "--clip-seconds", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 clips" in done.stdout
    assert "Peak memory of the whole stack" in done.stdout
    clips = sorted((tmp_path / "demo-output").iterdir())
    assert [clip.name for clip in clips] == ["clip-01.mp4", "clip-02.mp4", "clip-03.mp4"]
    assert [frames_in(clip) for clip in clips] == [75, 75, 75]
    assert str(tmp_path / "demo-output") in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []
    assert mentioning(tmp_path) == []


def test_the_demonstration_cuts_a_source_of_yours(
    tmp_path: Path, origin: Origin, media_folder: Path
) -> None:
    video = cached_video(media_folder, Video(seconds=10.0, keyframe_seconds=2.0))
    url = origin.add("/mine.mp4", answers.file(video))
    words = ("--url", url, "--clips", "2", "--clip-seconds", "2", "--mode", "smart", "--json")
    done = demo(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert [clip["job"]["result"]["frames"] for clip in report["clips"]] == [50, 50]
    assert report["peak_memory_bytes"] > 50 * 2**20


def test_a_source_that_is_not_there_fails_the_demonstration(tmp_path: Path, origin: Origin) -> None:
    done = demo(tmp_path, "--url", origin.add("/none", answers.status(404)))
    assert done.returncode == 1
    assert "unavailable" in done.stderr
    assert mentioning(tmp_path) == []


def test_a_port_that_is_taken_stops_the_start_and_leaves_no_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = {"CLIPMILL_PORT": str(other.getsockname()[1])}
        done = subprocess.run(
            [sys.executable, "-m", "clipmill", "up"], cwd=tmp_path, timeout=60, text=True,
            env=environment(tmp_path, **settings), capture_output=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert "api ended with status 1" in done.stderr
    assert mentioning(tmp_path) == []


def test_an_interrupted_demonstration_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "clipmill", "demo", "--seconds", "20", "--clips", "2"],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for line in process.stdout:
            if "Cutting" in line:
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 130
    assert mentioning(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_killed_demonstration_leaves_nothing_either(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "clipmill", "demo", "--seconds", "20", "--clips", "2"],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for line in process.stdout:
            if "Cutting" in line:
                process.kill()
                break
    give_up_at = time.monotonic() + 10
    while mentioning(tmp_path) or list((tmp_path / "tmp").iterdir()):
        assert time.monotonic() < give_up_at, mentioning(tmp_path)
        time.sleep(0.2)


@contextmanager
def running_up(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`clipmill up` in the folder, ready, and its URL."""
    settings = {"CLIPMILL_PORT": "0", "CLIPMILL_SHUTDOWN_GRACE": "2s"}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "clipmill", "up", "--ready-file", "ready"],
            cwd=folder, env=environment(folder, **settings), stdout=log, stderr=log,
        )  # fmt: skip
    try:
        give_up_at = time.monotonic() + 60
        while not (folder / "ready").exists():
            assert process.poll() is None, (folder / "up.log").read_text()
            assert time.monotonic() < give_up_at, (folder / "up.log").read_text()
            time.sleep(0.1)
        yield process, (folder / "ready").read_text()
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_up_answers_and_one_ctrl_c_ends_all_of_it(tmp_path: Path) -> None:
    # A path with a space in it, longer than the kernel takes for a socket.
    folder = tmp_path / f"my {'long ' * 20}videos"
    folder.mkdir()
    with running_up(folder) as (process, url):
        assert httpx2.get(f"{url}/readyz", **LOOPBACK).status_code == 200
        tree = psutil.Process(process.pid).children(recursive=True)
        assert len(tree) >= 4  # broker, API and its server, worker, guard
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert [child for child in tree if child.is_running()] == []
    assert list((folder / "tmp").iterdir()) == []


def test_a_killed_up_leaves_no_process_within_five_seconds(tmp_path: Path) -> None:
    with running_up(tmp_path) as (process, _):
        tree = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _, alive = psutil.wait_procs(tree, timeout=5.0)
        assert alive == []


@pytest.mark.parametrize("part", ["web.server", "worker.app", "valkey-server"])
def test_a_part_that_is_killed_comes_back_on_the_same_address(tmp_path: Path, part: str) -> None:
    with running_up(tmp_path) as (process, url):
        up = psutil.Process(process.pid)
        (victim,) = [child for child in up.children() if part in " ".join(child.cmdline())]
        victim.kill()
        give_up_at = time.monotonic() + 40
        while not (came_back(up, part, victim.pid) and is_ready(url)):
            assert time.monotonic() < give_up_at, (tmp_path / "up.log").read_text()
            time.sleep(0.2)


def came_back(up: psutil.Process, part: str, former_pid: int) -> bool:
    for child in up.children():
        try:
            if child.pid != former_pid and part in " ".join(child.cmdline()):
                return True
        except psutil.Error:
            continue
    return False


def is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", **LOOPBACK).is_success
    except httpx2.TransportError:
        return False
