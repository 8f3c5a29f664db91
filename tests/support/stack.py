"""The API as a program of its own, and a stand-in for a worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil

from tasks.artifact import StoredArtifact
from tasks.errors import JobError
from tasks.ids import IdMaker
from tasks.job import Failure
from tasks.kinds import KINDS
from tasks.outbox import Outbox
from tasks.storage import open_storage
from tasks.store import Extras, Lease, Store
from tests.support.loopback import LOOPBACK

PATIENCE_SECONDS = 30.0
ROOT = Path(__file__).parents[2]


class Api:
    """`python -m web.server` on a free port of loopback. A context manager that leaves nothing."""

    def __init__(self, folder: Path, redis_url: str, **settings: str) -> None:
        self.folder = folder
        self.artifacts = folder / "data" / "artifacts"
        self.storage = open_storage(self.artifacts.as_uri())
        self.store = Store.at(redis_url)
        self.outbox = Outbox(self.store.connection)
        self._environ = {
            **{name: os.environ[name] for name in ("PATH",) if name in os.environ},
            "CLIPMILL_REDIS_URL": redis_url,
            "CLIPMILL_DATA_DIR": str(folder / "data"),
            "CLIPMILL_PORT": "0",
            **{f"CLIPMILL_{name.upper()}": value for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> Self:
        """Start, and wait until it answers."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "web.server", "--ready-file", str(ready)],
                env=self._environ, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        end = time.monotonic() + PATIENCE_SECONDS
        while not ready.exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.01)
        self.url = ready.read_text().strip()
        return self

    def log(self) -> str:
        """All output of the API."""
        return (self.folder / "log").read_text()

    def client(self, **options: Any) -> httpx2.Client:
        """A new client; relative URLs go to this API."""
        return httpx2.Client(base_url=self.url, timeout=20, **LOOPBACK, **options)

    def processes(self) -> list[psutil.Process]:
        """The server's parent and its worker."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the API to stop; its exit status. Raises when it does not stop, and kills it."""
        assert self.process is not None
        processes = self.processes()
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            for process in processes:
                process.kill()
            self.process.wait()
            raise

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.store.connection.redis.close()


class Hands:
    """Does what a worker does to a record, without doing any work."""

    def __init__(self, api: Api) -> None:
        self._store = api.store
        self._storage = api.storage
        self._folder = api.folder
        self._new_id = IdMaker()

    def take(self, kind: str = "download") -> Lease:
        """Take and claim the next ready job of a kind."""
        lease = self._store.leases.take(kind)
        assert lease is not None
        return self._store.jobs.hold(lease, lease.job.started(time.time()), 30)

    def progress(self, lease: Lease, progress: float) -> Lease:
        """Record the progress of the job."""
        return self._store.jobs.hold(lease, lease.job.progressed(progress), 30)

    def finish(
        self, lease: Lease, content: bytes = b"media", filename: str = "a.mp4",
        media_type: str = "video/mp4",
    ) -> StoredArtifact:  # fmt: skip
        """Publish a file of this content; its record."""
        source = self._folder / f"made-{lease.job.id}"
        source.write_bytes(content)
        artifact_id = self._new_id()
        stored = self._storage.put(source, artifact_id, "mp4")
        artifact = StoredArtifact(
            artifact_id, lease.job.id, lease.job.owner, stored.key, filename, media_type,
            stored.size_bytes, stored.sha256, "main",
        )  # fmt: skip
        result = KINDS[lease.job.kind].result_type().with_artifacts([artifact])
        done = lease.job.succeeded(time.time(), result)
        self._store.jobs.release(lease, done, Extras(artifacts=[(artifact, True)]))
        return artifact

    def fail(self, lease: Lease, error: JobError) -> None:
        """Fail the job."""
        self._store.jobs.release(lease, lease.job.failed(time.time(), Failure.of(error)))


def server_events(response: httpx2.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream as {event, id, data}; comments as {comment}."""
    fields: dict[str, Any] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            yield {"comment": line[1:].strip()}
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = json.loads(value) if name == "data" else value
        elif "data" in fields:
            yield fields
            fields = {}


@contextmanager
def following(
    client: httpx2.Client, path: str, **options: Any
) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a path as they arrive."""
    with client.stream("GET", path, **options) as response:
        assert response.status_code == 200, response.read()
        yield server_events(response)
