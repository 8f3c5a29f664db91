"""The processes of a whole system, kept running as a supervisor would, with a fault for each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from tests.chaos.link import Link
from tests.support.valkey import ValkeyServer

RESTART_SECONDS = 0.5


class Process:
    """One program that is started again whenever it ends, until the world does."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._ended_at: float | None = None
        self.popen = start()
        self.ends: list[int] = []

    def signal(self, number: int) -> None:
        """Send it something, if it is there."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)

    def keep(self) -> None:
        """Start it again when it is due."""
        status = self.popen.poll()
        if status is None:
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
            self.ends.append(status)
        elif now - self._ended_at > RESTART_SECONDS:
            self._ended_at = None
            self.popen = self._start()


class World:
    """Valkey, two API processes, three workers whose links can hang, and a disk that can fill."""

    def __init__(self, folder: Path, *, quick: bool, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.effects = folder / "effects"
        self._quick = quick
        self._settings = settings
        (folder / "valkey").mkdir(parents=True)
        self.data.mkdir()
        # What is acknowledged is on disk: then a kill of the server may lose nothing at all.
        self.valkey = ValkeyServer(folder / "valkey", appendfsync="always")
        self.server_lock = threading.Lock()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        self.valkey.start()
        self.links = [Link(self.folder / "valkey" / "v.sock") for _ in range(3)]
        self.apis = [Process(lambda n=n: self._start_api(n)) for n in range(2)]
        self.workers = [Process(lambda n=n: self._start_worker(n)) for n in range(3)]
        self._keeper.start()
        self._wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        for link in self.links:
            link.close()
        self.valkey.kill()

    def end(self) -> list[int]:
        """Stop API and workers in order; their exit statuses. The server stays for the check."""
        self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join()
        everyone = [process.popen for process in (*self.apis, *self.workers)]
        for popen in everyone:
            if popen.poll() is None:
                popen.send_signal(signal.SIGCONT)
                popen.send_signal(signal.SIGTERM)
        for popen in everyone:
            try:
                popen.wait(25)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()
        return [popen.returncode for popen in everyone]

    def url(self, number: int) -> str | None:
        """Where an API process answers; None while it has not said so."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / f"api{number}.url").read_text().strip() or None
        return None

    def strangers(self) -> list[str]:
        """Command lines of processes that work in our folders and are none of ours."""
        ours = {process.popen.pid for process in (*self.apis, *self.workers)}
        below: set[int] = set()
        for pid in ours:
            with contextlib.suppress(psutil.NoSuchProcess):
                below |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                inside = Path(process.cwd()).is_relative_to(self.data)
                if inside and process.pid not in ours | below:
                    found.append(" ".join(process.cmdline())[:200])
        return found

    def log(self, name: str) -> str:
        """The end of what a process wrote."""
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def _keep(self) -> None:
        while not self._stopping.wait(0.1):
            for process in (*self.apis, *self.workers):
                process.keep()

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                urls = [self.url(number) for number in range(2)]
                if all(urls):
                    health = httpx.get(f"{urls[0]}/health", timeout=5, trust_env=False).json()
                    if health["services"]["workers"]["count"] >= 3:
                        return
            assert time.monotonic() < end, self.log("worker0")
            time.sleep(0.1)

    def _start_api(self, number: int) -> subprocess.Popen[bytes]:
        ready = self.folder / f"api{number}.url"
        ready.unlink(missing_ok=True)
        argv = ["-m", "web.server", "--ready-file", str(ready)]
        return self._start(f"api{number}", argv, self.valkey.url)

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        quick = ["QUICK"] if self._quick else []
        argv = ["-m", "tests.support.scripted_worker", str(self.effects), *quick]
        return self._start(f"worker{number}", argv, self.links[number].url)

    def _start(self, name: str, argv: list[str], redis_url: str) -> subprocess.Popen[bytes]:
        values = {
            "PORT": "0",
            "DATA_DIR": str(self.data),
            "REDIS_URL": redis_url,
            "ALLOWED_NETWORKS": "127.0.0.0/8",
            "MIN_FREE_DISK": "0",
            "SHUTDOWN_GRACE": "1s",
            "WORKER_CONCURRENCY": "4",
            **self._settings,
        }
        ours = {f"CLIPMILL_{key}": value for key, value in values.items()}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *argv], env={**os.environ, **ours}, stdout=log, stderr=log
            )
