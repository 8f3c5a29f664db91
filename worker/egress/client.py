"""The worker's side of the proxy: started when a job first needs it, and asked for each job."""

from __future__ import annotations

import json
import logging
import secrets
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from config.values import MIB, Network
from tasks.errors import (
    BlockedAddress,
    LoginRequired,
    NetworkError,
    NotMedia,
    SiteThrottled,
    TooLarge,
    ToolFailed,
    Unavailable,
    UnsupportedUrl,
)
from tasks.network import UNUSED, HostUse, NetworkUse
from worker.process.environment import environment
from worker.process.run import not_orphans

log = logging.getLogger(__name__)

# What a job reads beside the file that it is for: pages, manifests, a file begun anew.
SPARE_BYTES = 256 * MIB
# What a tool may make of a refusal.
_OF_THE_NETWORK = (
    LoginRequired, NetworkError, NotMedia, SiteThrottled, ToolFailed, Unavailable, UnsupportedUrl,
)  # fmt: skip
_STOP_SECONDS = 2.0
_ANSWER_SECONDS = 10.0


@dataclass
class Way:
    """A job's way out: the proxy's URL with the job's own password, and what it was used for."""

    url: str
    used: NetworkUse = UNUSED
    too_much: bool = False

    def raise_refusal(self) -> None:
        """After a failure: raises the reason, if the proxy had refused the job something."""
        if self.used.refused:
            raise BlockedAddress(
                "the source led to an address that is not public: the operator may allow its "
                "network (CLIPMILL_ALLOWED_NETWORKS)"
            )
        if self.too_much:
            raise TooLarge("the source sends more than is allowed")


class Egress:
    """The proxy process of this worker. Thread-safe."""

    def __init__(self, allowed: Sequence[Network], folder: Path) -> None:
        self._allowed = allowed
        self._folder = folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @contextmanager
    def way(self, most_bytes: int) -> Iterator[Way]:
        """A way out for one job, for the block. Its use is known at the end of the block.

        A failure of the block that may follow from a refusal becomes that refusal. Raises
        ToolFailed when the proxy does not run.
        """
        token = secrets.token_urlsafe(24)
        opening = {"do": "open", "job": token, "most_bytes": most_bytes + SPARE_BYTES}
        with self._lock:
            process, _ = self._ask(opening, process=None)
            way = Way(f"http://job:{token}@127.0.0.1:{self._port}")
        try:
            yield way
        except _OF_THE_NETWORK:
            self._close(way, token, process)
            way.raise_refusal()
            raise
        except BaseException:
            self._close(way, token, process)
            raise
        self._close(way, token, process)

    def _close(self, way: Way, token: str, process: subprocess.Popen[str]) -> None:
        # A proxy that was started anew knows nothing of the job: its tool has failed by then.
        with self._lock:
            _, told = self._ask({"do": "close", "job": token}, process=process)
        way.used, way.too_much = _use_of(told), bool(told.get("too_much"))

    def close(self) -> None:
        """End the proxy."""
        with self._lock:
            if self._process is not None:
                self._end(self._process)

    def _ask(
        self, line: dict[str, Any], process: subprocess.Popen[str] | None
    ) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """The answer of the proxy; of this very process, if one is given. Raises ToolFailed."""
        for is_last in (False, True):
            asked = process or self._running()
            try:
                return asked, _exchange(asked, line)
            except (OSError, ValueError) as error:
                self._end(asked)
                if is_last or process is not None:
                    raise ToolFailed("the way to the network has failed") from error
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        return self._process

    def _start(self) -> subprocess.Popen[str]:
        with not_orphans() as spared:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "worker.egress.proxy"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(self._folder, {}),
                cwd="/",
                start_new_session=True,
            )
            spared.add(process.pid)
        began = {"allowed": [str(network) for network in self._allowed], "own": own_addresses()}
        try:
            self._port = int(_exchange(process, began)["port"])
        except (OSError, ValueError, KeyError) as error:
            self._end(process)
            raise ToolFailed("the way to the network does not start") from error
        log.info("the egress proxy runs", extra={"values": {"port": self._port}})
        return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        """End it by closing its standard input; without an answer, by force."""
        if process is self._process:
            self._process = None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not sent cannot be sent to a dead process
                    stream.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with not_orphans() as spared:
            spared.discard(process.pid)


def own_addresses() -> list[str]:
    """The addresses of this machine, public or not."""
    found = [it for those in psutil.net_if_addrs().values() for it in those]
    kinds = (socket.AF_INET, socket.AF_INET6)
    return sorted({it.address.split("%")[0] for it in found if it.family in kinds})


def _exchange(process: subprocess.Popen[str], line: dict[str, Any]) -> dict[str, Any]:
    """Raises OSError or ValueError when the process has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(line) + "\n")
    process.stdin.flush()
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        if not ready.select(_ANSWER_SECONDS):
            raise TimeoutError("the proxy does not answer")
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def _use_of(told: dict[str, Any]) -> NetworkUse:
    if "hosts" not in told:
        raise ToolFailed("what the job did on the network is not known")
    hosts = tuple(HostUse(host, *numbers) for host, numbers in sorted(told["hosts"].items()))
    return NetworkUse(hosts, told["refused"])
