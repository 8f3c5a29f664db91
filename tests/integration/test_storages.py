"""The whole way of a file, on this machine's disk and on a storage that is not here."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import httpx2
import pytest

from config.api import API_BASE
from tasks.dispatch import JobRequest
from tasks.job import Job, JobState
from tasks.kinds import ClipSpec
from tasks.specs import Source
from tasks.storage import Storage
from tests.support.engine import Engine
from tests.support.loopback import LOOPBACK
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.remote_storage import RemoteStorage
from tests.support.valkey import ValkeyServer
from web.app import create_app
from web.http.services import services_of
from worker.upkeep.retention import Retention

SHORT = Video(seconds=3.0, keyframe_seconds=1.0)


@pytest.fixture(params=["folder", "remote"])
def engine(
    request: pytest.FixtureRequest, valkey: ValkeyServer, tmp_path: Path
) -> Iterator[Engine]:
    """One with real tools."""
    with ExitStack() as stack:
        storage: Storage | None = None
        if request.param == "remote":
            storage = stack.enter_context(RemoteStorage(tmp_path / "bucket"))
        yield stack.enter_context(
            Engine(
                valkey.url,
                tmp_path / "data",
                storage=storage,
                real_tools=True,
                allowed_networks="127.0.0.0/8",
            )
        )


@contextmanager
def api(engine: Engine, url: str) -> Iterator[httpx2.Client]:
    """The application in this process, on the same storage."""
    settings = replace(engine.settings, redis_url=url, broker_url=url)
    app = create_app(settings, store=engine.store, storage=engine.storage)
    transport = httpx2.WSGITransport(app=app)
    try:
        with httpx2.Client(base_url="http://127.0.0.1", transport=transport) as client:
            yield client
    finally:
        services_of(app).close()


def fetched(
    client: httpx2.Client, path: str, method: str = "GET", **headers: str
) -> httpx2.Response:
    """The answer, from wherever the API sends a client."""
    answer = client.request(method, path, headers=headers)
    if answer.status_code != HTTPStatus.TEMPORARY_REDIRECT:
        return answer
    assert answer.content == b""
    return httpx2.request(method, answer.headers["location"], headers=headers, **LOOPBACK)


def finished(engine: Engine, job_id: str, kind: str) -> Job:
    engine.run_all(kind)
    job = engine.store.jobs.get(job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    return job


def clip_of(source: str, start: float) -> ClipSpec:
    return ClipSpec(Source(job_id=source), start, start + 1.0)


def main_of(job: Job) -> tuple[str, int, str]:
    """The path, size and name of what it made."""
    assert job.result is not None
    assert job.result.main is not None
    main = job.result.main
    return f"{API_BASE}/artifacts/{main.id}", main.size_bytes, main.name


def test_a_download_is_cut_served_archived_and_expired(
    engine: Engine, valkey: ValkeyServer, origin: Origin, media_folder: Path
) -> None:
    url = origin.add("/v.mp4", answers.file(cached_video(media_folder, SHORT)))
    download = finished(engine, engine.submit_download(url, owner="local"), "download")
    batch_id = engine.dispatcher.submit_batch(
        [JobRequest(clip_of(download.id, start)) for start in (0.5, 1.5)], "local"
    )
    engine.run_all("clip")
    clips = [engine.store.jobs.get(job_id) for job_id in engine.store.batches.job_ids(batch_id)]
    assert [job.state for job in clips] == [JobState.SUCCEEDED] * 2, [job.error for job in clips]
    assert list(engine.work_folder.path.iterdir()) == []

    with api(engine, valkey.url) as client:
        assert_served(client, *main_of(clips[0]))
        archive = client.get(f"/api/v2/batches/{batch_id}/archive")
        with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
            assert [len(files.read(name)) for name in files.namelist()] == [
                main_of(job)[1] for job in clips
            ]
        health = client.get("/health").json()["services"]["storage"]
        assert health["status"] == "healthy"

        expire_all(engine)
        answer = client.get(main_of(clips[0])[0])
        assert (answer.status_code, answer.json()["code"]) == (410, "artifact_expired")
    assert left_in(engine) == set()


def test_what_is_stored_answers_an_equal_job(
    engine: Engine, origin: Origin, media_folder: Path
) -> None:
    url = origin.add("/v.mp4", answers.file(cached_video(media_folder, SHORT)))
    finished(engine, engine.submit_download(url), "download")
    again = finished(engine, engine.submit_download(url), "download")
    assert again.result is not None
    assert again.result.to_dict()["deduplicated"] is True
    assert origin.requests("/v.mp4", "GET") <= 3


def assert_served(client: httpx2.Client, path: str, size: int, name: str) -> None:
    """Whole, in part, and not at all, as the contract has it."""
    whole = fetched(client, path)
    assert (whole.status_code, len(whole.content)) == (200, size)
    assert whole.headers["content-type"] == "video/mp4"
    assert name in whole.headers["content-disposition"]
    head = fetched(client, path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(size)
    part = fetched(client, path, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    kept = fetched(client, path, **{"If-None-Match": "*"})
    assert (kept.status_code, kept.content) == (304, b"")
    other = fetched(client, path, **{"If-Match": '"other"'})
    assert other.status_code == 412
    saved = fetched(client, f"{path}?download=1")
    assert saved.headers["content-disposition"].startswith("attachment")


def expire_all(engine: Engine) -> None:
    """The time of every artifact is over."""
    retention = Retention(
        engine.store, engine.storage, ttl_seconds=-1, limit_bytes=None, job_ttl_seconds=3600
    )
    retention.expire()


def left_in(engine: Engine) -> set[str]:
    """The files in its storage."""
    if isinstance(engine.storage, RemoteStorage):
        return engine.storage.names()
    return {path.name for path in engine.artifacts.rglob("*") if path.is_file()}
