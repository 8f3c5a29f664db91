"""A worker's engine in this process, on a real store and real files, with work that a test writes.

with Engine(valkey.url, folder) as engine:
    engine.work = lambda work: work.produce(b"bytes")
    job = engine.submit_download("http://site.example/a")
    engine.runner.run_next("download")
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from config.settings import load_settings
from config.timings import PRODUCTION, Timings
from tasks.dispatch import Dispatcher, JobRequest
from tasks.dispatch.broker import Broker, make_celery
from tasks.job import Job
from tasks.kinds import KINDS, DownloadSpec, ExtractResult, ExtractSpec
from tasks.media import MediaFacts
from tasks.outbox import Outbox
from tasks.specs import Source
from tasks.storage import Storage
from worker.attempt.attempt import Attempt, Exchange
from worker.attempt.lease import LeasedJob
from worker.attempt.machine import Machine
from worker.attempt.outcome import Outcome
from worker.attempt.usage import Usage
from worker.build import build
from worker.engine.attempts import AttemptFactory
from worker.engine.disk import Disk
from worker.engine.workspace import WorkFolder
from worker.kinds import HANDLERS, download
from worker.kinds.download import DownloadHandler
from worker.kinds.extract import ExtractHandler
from worker.kinds.handler import Handler
from worker.memory.need import ResourceNeed
from worker.ytdlp import Download

MIB = 1024**2
URL = "https://media.example/video"


@dataclass(frozen=True)
class Work:
    """What the work of a test may use."""

    leased: LeasedJob
    folder: Path
    exchange: Exchange

    @property
    def job(self) -> Job:
        return self.leased.job

    def produce(self, content: bytes = b"media", title: str = "title") -> Outcome:
        """A file as the downloader would leave it."""
        path = self.folder / "made.mp4"
        path.write_bytes(content)
        facts = MediaFacts("mov,mp4", 0.0, 1.0, len(content))
        return download.outcome(
            path, facts, Download(path, {"title": title, "platform": "generic"})
        )


class ScriptedAttempt(Attempt):
    """An attempt whose tools report twice the memory that was estimated."""

    work: Work

    def account(self, *, stopped: bool = False) -> Usage:
        return Usage(2 * MIB, MIB)


class ScriptedExtract(ExtractHandler):
    """Does what the test wrote in place of yt-dlp."""

    def __init__(self, work: Callable[[Work], Any]) -> None:
        self._work = work

    def run(self, spec: ExtractSpec, attempt: Attempt) -> Outcome:
        assert isinstance(attempt, ScriptedAttempt)
        self._work(attempt.work)
        return Outcome(ExtractResult(info={"title": "a page"}))


class ScriptedDownload(DownloadHandler):
    """Does what the test wrote in place of yt-dlp, and delivers its outcome or some file."""

    def __init__(self, work: Callable[[Work], Any]) -> None:
        self._work = work

    def run(self, spec: DownloadSpec, attempt: Attempt) -> Outcome:
        assert isinstance(attempt, ScriptedAttempt)
        found = self._work(attempt.work)
        return found if isinstance(found, Outcome) else attempt.work.produce()


class Engine:
    """One worker's engine. The test also chooses the memory that its jobs need."""

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        timings: Timings = PRODUCTION,
        storage: Storage | None = None,
        real_tools: bool = False,
        **settings: str,
    ) -> None:
        names = {"redis_url": url, "data_dir": str(folder), "memory_budget": "512MiB", **settings}
        self.settings = load_settings(
            {f"CLIPMILL_{it.upper()}": names[it] for it in names}, kinds=KINDS
        )
        self.artifacts = folder / "artifacts"  # where the usual storage keeps its files
        self.free_bytes = self.storage_free_bytes = 10**12
        self.attempts: list[str] = []
        self.need_bytes = MIB
        self.work: Callable[[Work], Any] = lambda work: None
        worker = build(
            self.settings,
            Broker(make_celery(url)),
            timings=timings,
            storage=storage,
            attempt_factory=AttemptFactory if real_tools else self._on,
            handlers=HANDLERS if real_tools else self._handlers(),
            disk=self._disk,
        )
        self.store, self.storage = worker.services.store, worker.services.storage
        self.outbox = Outbox(self.store.connection)
        self.egress = worker.services.egress
        self.broker, self.dependents = worker.services.broker, worker.services.dependents
        self.work_folder = worker.services.work_folder
        self.budget, self.disk, self.heartbeat = worker.budget, worker.disk, worker.heartbeat
        self.runner, self.reporter = worker.runner, worker.reporter
        self.retention, self.housekeeper = worker.retention, worker.housekeeper
        self.dispatcher = Dispatcher(self.store, self.broker, self.storage, self.settings)

    def _disk(
        self, work_folder: WorkFolder, storage: Storage, least_bytes: int, timings: Timings
    ) -> Disk:
        """Disks with as much free space as the test says."""
        return Disk(lambda: self.free_bytes, lambda: self.storage_free_bytes, least_bytes, timings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.egress.close()
        self.work_folder.close()
        self.store.connection.redis.close()

    def need_of(self, job: Job) -> ResourceNeed:
        return ResourceNeed(max(self.need_bytes, job.memory_floor_bytes))

    def attempt(
        self, leased: LeasedJob, folder: Path, need: ResourceNeed, exchange: Exchange
    ) -> ScriptedAttempt:
        self.attempts.append(leased.job.id)
        attempt = ScriptedAttempt(self._machine, leased, folder, need, exchange)
        attempt.work = Work(leased, folder, exchange)
        return attempt

    def _on(self, machine: Machine) -> Any:
        """The engine itself makes the attempts, on this machine."""
        self._machine = machine
        return self

    def _handlers(self) -> Mapping[str, Handler[Any]]:
        def work(touched: Work) -> Any:
            return self.work(touched)

        return {"extract": ScriptedExtract(work), "download": ScriptedDownload(work)}

    def submit(self, url: str = URL, owner: str = "ann", **values: Any) -> str:
        """Submit an extract; its id."""
        return self.dispatcher.submit(JobRequest(ExtractSpec(Source(url=url)), **values), owner).id

    def submit_download(self, url: str = URL, owner: str = "ann") -> str:
        """Submit a download; its id."""
        return self.dispatcher.submit(JobRequest(DownloadSpec(Source(url=url))), owner).id

    def run_all(self, kind: str = "extract") -> int:
        """Run jobs until none of the kind is ready; how many were run."""
        count = 0
        while self.runner.run_next(kind):
            count += 1
        return count

    def files(self) -> list[Path]:
        """All files in storage, and all files that attempts have left."""
        stored = [path for path in self.artifacts.rglob("*") if path.is_file()]
        return stored + list(self.work_folder.path.iterdir())


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    """Start the work in a thread beside the test."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
