"""The processes of a whole system, kept running as by a supervisor, with a fault for each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil

from tests.chaos.disk import Disk, may_mount
from tests.chaos.link import Link
from tests.support.loopback import LOOPBACK
from tests.support.valkey import ValkeyServer

RESTART_SECONDS = 0.5
ROOT = Path(__file__).parents[2]
CLOCK = Path(__file__).with_name("clock")
MOST_SKEW_SECONDS = 600.0
LATEST_JUMP_SECONDS = 30.0  # the clock of a process jumps within this time of its start
DISK_BYTES, STORE_DISK_BYTES = 2**30, 2**28


class Process:
    """A program that is started again whenever it ends, until the world ends."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self._ended_at: float | None = None
        self.popen = start()
        self.starts = 1

    def signal(self, number: int) -> bool:
        """Send a signal; False when the process does not exist."""
        if self.popen.poll() is not None:
            return False
        self.popen.send_signal(number)
        return True

    def keep(self) -> None:
        """Start the program again when the time has come."""
        if self.popen.poll() is None:
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now
        elif now - self._ended_at > RESTART_SECONDS:
            self._ended_at = None
            self.popen = self._start()
            self.starts += 1


class World:
    """Valkey, two API processes, three workers, a link for each of them that can hang, and disks
    that can fill.

    Each process has a wrong time, another at each start, and its clock jumps once. With `steady`,
    the first API and the first worker are never ended, so that they live through all other faults.
    With `own_broker` messages have a server of their own, which keeps nothing on disk. With `real`
    the workers do real work, else the work of a URL (tests/support/scripted_worker.py).
    """

    def __init__(
        self, folder: Path, seed: int, quick: bool, real: bool,
        *, steady: bool = False, own_broker: bool = False,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.effects = folder / "effects"
        self._real = real
        self.lease_seconds = 4.0 if quick else 30.0
        self._quick = quick
        self._steady = steady
        self._own_broker = own_broker
        self._clocks = random.Random(seed)
        self._jumps: list[tuple[subprocess.Popen[bytes], float]] = []
        # Secrets that only their owner may read: a key in use, and a token in each URL.
        self.key, self.token = secrets.token_hex(16), secrets.token_hex(16)
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        # No process may write to these folders.
        self.forbidden = [self.folder / name for name in ("home", "tmp", "current")]
        for folder in self.forbidden:
            folder.mkdir()
        digest = hashlib.sha256(self.key.encode()).hexdigest()
        (self.folder / "keys").write_text(f"client:read,submit:{digest}\n")
        with ExitStack() as opened:
            self._start_all(opened)
            self._opened = opened.pop_all()
        return self

    def _start_all(self, opened: ExitStack) -> None:
        self.disk = self.store_disk = None
        if may_mount():
            self.disk = opened.enter_context(Disk(self.folder / "disk", DISK_BYTES))
            self.store_disk = opened.enter_context(Disk(self.folder / "valkey", STORE_DISK_BYTES))
        self.data = self.folder / "disk" / "data"
        for made in (self.data, self.folder / "valkey"):
            made.mkdir(parents=True, exist_ok=True)
        # An acknowledged write is on disk: so a kill of the server may lose nothing.
        self.valkey = ValkeyServer(self.folder / "valkey", appendfsync="always")
        self.valkey.start()
        opened.callback(self.valkey.kill)
        self.broker = self._start_broker(opened) if self._own_broker else self.valkey
        # The links of the APIs first, as in `everyone`.
        self.links = [Link(self.folder / "valkey" / "v.sock") for _ in range(2 + 3)]
        for link in self.links:
            opened.callback(link.close)
        self.apis = [Process(lambda n=n: self._start_api(n)) for n in range(2)]
        self.workers = [Process(lambda n=n: self._start_worker(n)) for n in range(3)]
        opened.callback(self.end)
        self._keeper.start()
        self.wait_until_ready(60.0)

    def _start_broker(self, opened: ExitStack) -> ValkeyServer:
        folder = self.folder / "broker"
        folder.mkdir()
        broker = ValkeyServer(folder, appendonly="no").start()
        opened.callback(broker.kill)
        return broker

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    @property
    def disks(self) -> list[Disk]:
        """The disks that can fail, if there are any."""
        return [disk for disk in (self.disk, self.store_disk) if disk is not None]

    @property
    def everyone(self) -> list[Process]:
        """All API and worker processes."""
        return [*self.apis, *self.workers]

    @property
    def servers(self) -> list[ValkeyServer]:
        """The server of the records, and that of the messages if it is another."""
        return [self.valkey] + [self.broker] * (self.broker is not self.valkey)

    @property
    def jumped(self) -> int:
        """How many of the present processes have seen their clock jump."""
        now = time.monotonic()
        return sum(popen.poll() is None and now > due for popen, due in self._jumps)

    def link_of(self, process: Process) -> Link:
        """The link from a process to the records."""
        return self.links[self.everyone.index(process)]

    def mortal(self, processes: Sequence[Process]) -> Sequence[Process]:
        """Those of the processes that may be ended."""
        return processes[1:] if self._steady else processes

    def ask(
        self, method: str, path: str, number: int = 0, **options: Any
    ) -> httpx2.Response | None:
        """One request to an API process; None without a response."""
        headers = {"X-API-Key": self.key, **options.pop("headers", {})}
        url = self.url(number)
        with contextlib.suppress(httpx2.TransportError):
            if url is not None:
                return httpx2.request(
                    method, url + path, headers=headers, timeout=10, **LOOPBACK, **options
                )
        return None

    def heal(self) -> None:
        """End the faults of disks and links."""
        for broken in (*self.disks, *self.links):
            broken.heal()

    def end(self) -> list[int]:
        """Stop API and workers in order; their exit statuses. The server stays for the check."""
        self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self.heal()
        everyone = [process.popen for process in self.everyone]
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
        """The URL of an API process; None while the process has not announced it."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / f"api{number}.url").read_text().strip() or None
        return None

    def strangers(self) -> list[str]:
        """Command lines of processes that work in the world's folders and are not part of it."""
        ours = {process.popen.pid for process in self.everyone}
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
        """The end of the log of a process."""
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def _keep(self) -> None:
        while not self._stopping.wait(0.1):
            for process in self.everyone:
                process.keep()

    def wait_until_ready(self, within_seconds: float) -> None:
        """Return when both API processes list all three workers, and no other."""
        end = time.monotonic() + within_seconds
        while True:
            answers = [self.ask("GET", "/health", number) for number in range(2)]
            counts = [
                answer and answer.json()["services"]["workers"]["count"] for answer in answers
            ]
            if counts == [3, 3]:
                return
            assert time.monotonic() < end, self.log("worker0")
            time.sleep(0.1)

    def _start_api(self, number: int) -> subprocess.Popen[bytes]:
        ready = self.folder / f"api{number}.url"
        ready.unlink(missing_ok=True)
        argv = ["-m", "web.server", "--ready-file", str(ready)]
        return self._start(f"api{number}", argv, self.links[number].url)

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        argv = ["-m", "tests.support.scripted_worker", str(self.effects)]
        argv += ["--quick"] * self._quick + ["--real"] * self._real
        return self._start(f"worker{number}", argv, self.links[2 + number].url)

    def _start(self, name: str, argv: list[str], redis_url: str) -> subprocess.Popen[bytes]:
        home, temporary, current = map(str, self.forbidden)
        jumps_after = self._clocks.uniform(2.0, LATEST_JUMP_SECONDS)
        values = {
            "PORT": "0",
            "DATA_DIR": str(self.data),
            "REDIS_URL": redis_url,
            "BROKER_URL": redis_url if self.broker is self.valkey else self.broker.url,
            "API_KEYS_FILE": str(self.folder / "keys"),
            "ALLOWED_NETWORKS": "127.0.0.1/32",
            "MIN_FREE_DISK": "16MiB",
            "SHUTDOWN_GRACE": "1s",
            # So few slots that most are taken and messages wait: then there is something to lose.
            "WORKER_CONCURRENCY": "2" if self._quick else "4",
        }
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "TMPDIR": temporary,
            "PYTHONPATH": f"{CLOCK}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "CHAOS_CLOCK": f"{self._skew()} {jumps_after} {self._skew()}",
            **{f"CLIPMILL_{key}": value for key, value in values.items()},
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            popen = subprocess.Popen(
                [sys.executable, *argv], env=environ, stdout=log, stderr=log, cwd=current
            )
        self._jumps.append((popen, time.monotonic() + jumps_after))
        return popen

    def _skew(self) -> float:
        return self._clocks.uniform(-MOST_SKEW_SECONDS, MOST_SKEW_SECONDS)
