"""No descriptor, no process, no thread to be had: jobs wait, requests are told, all recovers."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.acceptance.test_places import clipmill_up
from tests.support.loopback import LOOPBACK
from tests.support.needs import needs
from tests.support.processes import eventually
from tests.support.records import at_once
from tests.support.system import System

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
PIDS = Path("/sys/fs/cgroup/pids")
HELD_UP = ("retry", "disk")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("shortages") / "s", scripted=True) as system:
        yield system


def submit(system: System, name: str, seconds: float = 0) -> str:
    url = f"{SITE}/{name}?seconds={seconds}"
    return str(system.submit(kind="download", source={"url": url})["id"])


def whys(system: System, job_id: str) -> list[str]:
    told = system.client.get(f"/api/v2/jobs/{job_id}/timeline").json()["events"]
    return [event["why"] for event in told if "why" in event]


@contextmanager
def few_descriptors(pid: int, free: int) -> Iterator[None]:
    """A living process may open no more than so many further ones."""
    used = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) + 1
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + free, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def few_tasks(pid: int, free: int) -> Iterator[None]:
    """A living process, with all it starts, may have only so many further processes or threads."""
    needs(os.access(PIDS, os.W_OK), f"this needs the right to make a group below {PIDS}")
    group = PIDS / f"clipmill-test-{pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        used = int((group / "pids.current").read_text())
        (group / "pids.max").write_text(str(used + free))
        yield
    finally:
        for line in (group / "cgroup.procs").read_text().split():
            (PIDS / "cgroup.procs").write_text(line)
        assert eventually(lambda: not (group / "cgroup.procs").read_text(), 5)
        group.rmdir()


def test_a_worker_without_descriptors_puts_its_job_off_and_goes_on_later(system: System) -> None:
    worker = system.workers[0]
    with few_descriptors(worker.pid, 3):
        job_id = submit(system, "no-descriptors")
        back = system.until(job_id, lambda job: job["wait_reason"] in HELD_UP or job["error"])
        assert (back["state"], back["error"]) == ("queued", None)
        assert set(whys(system, job_id)) <= {"tool_failed", "storage_full"}
    job = system.until(job_id)
    assert job["state"] == "succeeded"
    assert eventually(lambda: system.attempt_folders() == [], 10)
    assert worker.poll() is None


@pytest.mark.parametrize("free", [0, 1], ids=["not even a guard", "a guard and no tool"])
def test_a_worker_without_processes_puts_its_job_off_and_goes_on_later(
    system: System, free: int
) -> None:
    worker = system.workers[0]
    with few_tasks(worker.pid, free):
        job_id = submit(system, f"starved-{free}")
        back = system.until(job_id, lambda job: job["wait_reason"] in HELD_UP or job["error"])
        assert (back["state"], back["error"]) == ("queued", None)
        assert set(whys(system, job_id)) == {"tool_failed"}
    assert system.until(job_id)["state"] == "succeeded"
    assert eventually(lambda: system.attempt_folders() == [], 10)
    assert worker.poll() is None
    assert len(psutil.Process(worker.pid).children(recursive=True)) == 0


def test_an_api_without_descriptors_says_so_and_serves_again_when_there_are_some(
    system: System,
) -> None:
    serving = psutil.Process(system.api.pid).children(recursive=True)[-1]
    body = {"kind": "extract", "source": {"url": f"{SITE}/one"}}
    with ExitStack() as open_, system.valkey.client() as client:
        clients = [
            open_.enter_context(httpx2.Client(base_url=system.url, **LOOPBACK)) for _ in range(20)
        ]
        for one in clients:  # they have a connection each; the API has one to its store
            one.get("/livez").raise_for_status()
        with few_descriptors(serving.pid, 0):
            client.client_pause(700)
            found = at_once(lambda number: clients[number].post("/api/v2/jobs", json=body), 20)
        assert {answer.status_code for answer in found} <= {202, 503}
        refused = [answer for answer in found if answer.status_code == 503]
        assert refused
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
        found = at_once(lambda number: clients[number].post("/api/v2/jobs", json=body), 20)
        assert {answer.status_code for answer in found} == {202}


def serving_process(data: Path) -> psutil.Process | None:
    """The one of a stack's API that answers requests."""
    for process in psutil.process_iter(["cmdline"]):
        if str(data / "api.url") in (process.info["cmdline"] or []):
            return [process, *process.children(recursive=True)][-1]
    return None


def test_an_api_without_threads_says_so_and_serves_again_when_there_are_some(
    tmp_path: Path,
) -> None:
    """If the server's library ends for want of a thread, the stack starts the API again."""
    body = {"kind": "extract", "source": {"url": f"{SITE}/one"}}
    with clipmill_up(tmp_path / "data") as client:
        job_id = client.post("/api/v2/jobs", json=body).json()["id"]
        serving = serving_process(tmp_path / "data")
        assert serving is not None

        def wait(_: int) -> bool:
            try:
                answer = httpx2.get(
                    f"{client.base_url}/api/v2/jobs/{job_id}?wait=2", timeout=10, **LOOPBACK
                )
            except httpx2.TransportError:
                return False
            assert answer.is_success or answer.json()["code"] == "overloaded"
            return answer.is_success

        with few_tasks(serving.pid, 0):
            assert not all(at_once(wait, 20))
        assert eventually(lambda: wait(0), 40)
        assert client.get("/readyz").status_code == 200
