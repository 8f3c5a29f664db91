"""The whole system as processes: Valkey, the API, and any number of workers, in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil

from tests.support.loopback import LOOPBACK
from tests.support.valkey import ValkeyServer

FINAL = {"succeeded", "failed", "cancelled"}
_OF_THE_WORKER = ("worker.process.guard", "worker.egress.proxy")


class System:
    """A running system. A context manager that leaves no process behind.

    With `scripted` the workers do what the URL of a job says (tests/support/scripted_worker.py).
    `prefix` is a command that starts the processes, as `setpriv` with its options.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        scripted: bool = False,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self.folder = folder
        self.effects = folder / "effects"
        self._scripted = scripted
        self._options = options
        self._prefix = prefix
        self.data = folder / "data"
        self.valkey = ValkeyServer(_made(folder / "valkey"))
        self.workers: list[subprocess.Popen[bytes]] = []
        self._worker_count = workers
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.valkey.start()
        try:
            for _ in range(self._worker_count):
                self.start_worker()
            self.api = self._start_api()  # while the workers start
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        self._end()

    def start_worker(self, *options: str, redis_url: str | None = None) -> subprocess.Popen[bytes]:
        """Start a worker; `options` are for the scripted worker, `redis_url` is another route."""
        scripted = [
            "-m",
            "tests.support.scripted_worker",
            str(self.effects),
            *self._options,
            *options,
        ]
        worker = self._start(
            "worker", scripted if self._scripted else ["-m", "worker.app"], redis_url
        )
        self.workers.append(worker)
        return worker

    def submit(self, **body: Any) -> dict[str, Any]:
        """Submit one job; the accepted job."""
        answer = self.client.post("/api/v2/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def submit_batch(self, *jobs: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
        """Submit a batch; the accepted batch."""
        body = {"defaults": defaults, "jobs": list(jobs)}
        answer = self.client.post("/api/v2/batches", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it is now."""
        answer = self.client.get(f"/api/v2/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def until(
        self,
        job_id: str,
        holds: Callable[[dict[str, Any]], object] | None = None,
        within_seconds: float = 90.0,
    ) -> dict[str, Any]:
        """The job once a condition holds (by default: once it is final)."""
        end = time.monotonic() + within_seconds
        if holds is None:
            return self._until_final(f"/api/v2/jobs/{job_id}", lambda it: it["state"] in FINAL, end)
        while not holds(job := self.job(job_id)):
            assert time.monotonic() < end, f"still {job['state']}: {job}\n{self.log('worker')}"
            time.sleep(0.05)
        return job

    def batch_until_final(self, batch_id: str, within_seconds: float = 120.0) -> dict[str, Any]:
        """The batch once every job in it is final."""
        end = time.monotonic() + within_seconds
        path = f"/api/v2/batches/{batch_id}"
        return self._until_final(path, lambda it: it["state"] != "running", end)

    def _until_final(
        self, path: str, final: Callable[[dict[str, Any]], bool], end: float
    ) -> dict[str, Any]:
        """A request waits, since asking all the time would take a core from the other tests."""
        while True:
            seconds = max(0, min(10, int(end - time.monotonic())))
            answer = self.client.get(path, params={"wait": seconds})
            found = dict(answer.json())
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                time.sleep(0.1)  # a store that restarts: who waits asks again
            else:
                assert answer.status_code == 200, answer.text
                if final(found):
                    return found
            assert time.monotonic() < end, f"still {found}\n{self.log('worker')}"

    def tools(self, word: str) -> list[psutil.Process]:
        """Processes of jobs whose command line holds a word, without their guards."""
        found = []
        for worker in self.workers:
            if worker.poll() is None:
                for process in psutil.Process(worker.pid).children(recursive=True):
                    line = " ".join(_command_line(process))
                    if word in line and not any(part in line for part in _OF_THE_WORKER):
                        found.append(process)
        return found

    def attempt_folders(self) -> list[Path]:
        """The folders of attempts that run, or that left their folder behind."""
        return list((self.data / "work").glob("*/*"))

    def log(self, name: str) -> str:
        """The end of the log of a kind of process."""
        return (self.folder / f"{name}.log").read_text()[-6000:]

    def _start_api(self) -> subprocess.Popen[bytes]:
        ready = self.folder / "ready"
        api = self._start("api", ["-m", "web.server", "--ready-file", str(ready)])
        end = time.monotonic() + 30
        while not (ready.exists() and ready.read_text().strip()):
            assert api.poll() is None, self.log("api")
            assert time.monotonic() < end, self.log("api")
            time.sleep(0.05)
        self.url = ready.read_text().strip()
        self.client = httpx2.Client(base_url=self.url, timeout=70.0, **LOOPBACK)
        return api

    def restart_api(self, number: int) -> None:
        """End the API by a signal, and start it again; it may have another URL then."""
        self.client.close()
        for process in [*psutil.Process(self.api.pid).children(recursive=True), self.api]:
            process.send_signal(number)
        self.api.wait(20)
        (self.folder / "ready").unlink(missing_ok=True)
        self.api = self._start_api()

    def _wait_until_ready(self) -> None:
        self.wait_for_workers(self._worker_count)

    def restart_store(self) -> None:
        """Start the killed store again; return when the API has noticed and answers."""
        self.valkey.start()
        end = time.monotonic() + 20
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < end, self.log("api")
            time.sleep(0.05)

    def wait_for_workers(self, count: int, within_seconds: float = 40.0) -> None:
        """Return when this many workers report."""
        end = time.monotonic() + within_seconds
        while self.client.get("/health").json()["services"]["workers"]["count"] < count:
            assert time.monotonic() < end, self.log("worker")
            time.sleep(0.05)

    def _start(
        self, name: str, arguments: list[str], redis_url: str | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self._prefix, sys.executable, *arguments],
                env=self._environment(redis_url),
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def _environment(self, redis_url: str | None = None) -> dict[str, str]:
        values = {
            "PORT": "0",
            "DATA_DIR": str(self.data),
            "REDIS_URL": redis_url or self.valkey.url,
            "ALLOWED_NETWORKS": "127.0.0.0/8",
            "MIN_FREE_DISK": "10MiB",
            "SHUTDOWN_GRACE": "2s",
            **self._settings,
        }
        ours = {f"CLIPMILL_{name.upper()}": value for name, value in values.items()}
        return {**os.environ, **ours}

    def _end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.valkey.kill()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
