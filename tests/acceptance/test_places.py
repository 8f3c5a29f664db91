"""The folders a system stands on: full, another's, or littered by those who worked there before."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tasks.store import Store
from tests.support.loopback import LOOPBACK
from tests.support.media import Video, cached_video
from tests.support.needs import needed_tool, needs_root
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.records import Records
from tests.support.system import System
from tests.support.volumes import small_volume

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
STRANGER = 65534
# Root as any user is: the mode of a file counts for it, too.
AS_ANY_USER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def submit(system: System, name: str, seconds: float = 0) -> str:
    url = f"{SITE}/{name}?seconds={seconds}"
    return str(system.submit(kind="download", source={"url": url})["id"])


def ask(client: httpx2.Client, name: str) -> httpx2.Response:
    body = {"kind": "extract", "source": {"url": f"{SITE}/{name}"}}
    return client.post("/api/v2/jobs", json=body)


def test_a_full_disk_under_the_records_refuses_new_jobs_and_spoils_none(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with (
        small_volume(folder / "valkey", "4m") as volume,
        System(folder, scripted=True) as system,
        system.valkey.client() as client,
    ):
        jobs = [submit(system, "before"), submit(system, "running", seconds=4)]
        system.until(jobs[1], lambda job: job["state"] == "running")
        ballast = volume.fill()
        assert eventually(
            lambda: ask(system.client, "refused").status_code == 503, 20, every_seconds=0.1
        )
        refused = ask(system.client, "refused")
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert system.client.get("/readyz").status_code == 503
        ballast.unlink()
        assert eventually(
            lambda: system.client.get("/readyz").status_code == 200, 20, every_seconds=0.1
        )
        jobs.append(submit(system, "after"))
        for job_id in jobs:
            job = system.until(job_id)
            assert (job["state"], job["attempt"]) == ("succeeded", 1)
        # And so they lie on the disk.
        time.sleep(1.2)  # the server's log reaches it each second
        system.valkey.kill()
        system.restart_store()
        assert {system.until(job_id)["state"] for job_id in jobs} == {"succeeded"}
        assert eventually(lambda: client.zcard("clipmill:index:state:queued") == 0, 20)
        Records(client).check(Store.at(system.valkey.url))
        assert (system.api.poll(), system.workers[0].poll()) == (None, None)


@contextmanager
def clipmill_up(data: Path, log_path: Path | None = None) -> Iterator[httpx2.Client]:
    """The whole stack with its own server, as a person starts it."""
    log_path = log_path or data.parent / "up.log"
    values = {"PORT": "0", "DATA_DIR": str(data), "ALLOWED_NETWORKS": "127.0.0.0/8"}
    environ = {f"CLIPMILL_{name}": value for name, value in values.items()}
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "clipmill", "up", "--ready-file", str(data.parent / "ready")],
            env={**os.environ, **environ},
            stdout=log,
            stderr=log,
        )
    try:
        # Not the API's own word: what dies before the stack stands ends all of it.
        ready = data.parent / "ready"
        assert eventually(ready.exists, 60), log_path.read_text()
        assert eventually(ready.read_text, 5)
        with httpx2.Client(
            base_url=(data / "api.url").read_text().strip(), timeout=30, **LOOPBACK
        ) as client:
            assert eventually(lambda: client.get("/readyz").is_success, 30, every_seconds=0.1)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_the_embedded_server_comes_back_by_itself_when_its_disk_has_room_again(
    tmp_path: Path,
) -> None:
    """It ends when it cannot write, since each answer is a promise; the stack starts it again."""
    data = tmp_path / "data"
    with small_volume(data / "broker", "4m") as volume, clipmill_up(data) as client:
        kept = ask(client, "before").json()["id"]
        ballast = volume.fill()
        assert eventually(lambda: ask(client, "refused").status_code == 503, 20, every_seconds=0.1)
        assert int(ask(client, "refused").headers["Retry-After"]) > 0
        ballast.unlink()
        assert eventually(lambda: client.get("/readyz").is_success, 40, every_seconds=0.1)
        assert ask(client, "after").status_code == 202
        assert client.get(f"/api/v2/jobs/{kept}").status_code == 200


def test_a_full_disk_under_the_log_stops_nothing(
    tmp_path: Path, origin: Origin, media_folder: Path
) -> None:
    """From the first line on, for all of the stack; what cannot be told is lost, and no more."""
    url = origin.add("/video.mp4", answers.file(cached_video(media_folder, Video(2.0))))
    body = {"kind": "download", "source": {"url": url}}
    with small_volume(tmp_path / "logs", "1m") as volume:
        log = volume.path / "up.log"
        log.touch()
        ballast = volume.fill()
        with clipmill_up(tmp_path / "data", log) as client:
            job_id = client.post("/api/v2/jobs", json=body).json()["id"]
            job = client.get(f"/api/v2/jobs/{job_id}?wait=60").json()
            assert (job["state"], job["attempt"]) == ("succeeded", 1)
            assert client.post("/api/v2/jobs", json={"kind": "none"}).status_code == 422
            assert log.stat().st_size == 0
            ballast.unlink()
            body["source"] = {"url": f"{url}?again"}
            job_id = client.post("/api/v2/jobs", json=body).json()["id"]
            assert client.get(f"/api/v2/jobs/{job_id}?wait=60").json()["state"] == "succeeded"
            # From now on all is told again, by the API and by the worker.
            told = [json.loads(line) for line in log.read_text().splitlines()]
            assert {"web.app", "worker.engine.runner"} <= {line["logger"] for line in told}


def test_a_folder_of_another_user_holds_jobs_up_until_it_is_ours(tmp_path: Path) -> None:
    needs_root()
    needed_tool(AS_ANY_USER[0], "util-linux")
    with System(tmp_path / "s", scripted=True, prefix=AS_ANY_USER) as system:
        artifacts = system.data / "artifacts"
        os.chown(artifacts, STRANGER, STRANGER)
        artifacts.chmod(0o755)
        not_ready = system.client.get("/readyz")
        assert not_ready.status_code == 503
        reason = not_ready.json()["services"]["storage"]["reason"]
        assert reason == "artifacts cannot be stored: Permission denied"
        job_id = submit(system, "one")
        system.until(job_id, lambda job: job["wait_reason"] == "disk")
        os.chown(artifacts, 0, 0)
        assert system.client.get("/readyz").status_code == 200
        assert system.until(job_id)["state"] == "succeeded"


def test_a_thousand_folders_of_dead_workers_are_swept_at_the_start_and_nothing_else(
    tmp_path: Path,
) -> None:
    work = tmp_path / "s" / "data" / "work"
    for number in range(1000):
        attempt = work / f"dead-{number:04}" / "job-token"
        attempt.mkdir(parents=True)
        (attempt / "made.mp4.part").write_bytes(b"x" * 100)
    living = work / "living" / "job-token"
    living.mkdir(parents=True)
    (work / "note.txt").write_text("not a folder of ours")
    (tmp_path / "elsewhere").mkdir()
    (work / "link").symlink_to(tmp_path / "elsewhere")
    descriptor = os.open(living.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # as its worker does for as long as it lives
    try:
        with System(tmp_path / "s", scripted=True) as system:
            left = {path.name for path in work.iterdir()}
            assert len(left) == 4  # with the new worker's own
            assert left > {"living", "note.txt", "link"}
            assert living.exists()
            assert (tmp_path / "elsewhere").exists()
            assert system.until(submit(system, "one"))["state"] == "succeeded"
    finally:
        os.close(descriptor)
