"""Job records for tests of the store, and every invariant that its keys must keep."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import redis

from tasks.artifact import StoredArtifact
from tasks.ids import IdMaker
from tasks.job import Job, JobState, WaitReason
from tasks.kinds import KINDS, DownloadSpec, ExtractSpec
from tasks.record import job_of
from tasks.specs import Source, Spec
from tasks.store import Store
from tasks.store.packing import unpacked

new_id = IdMaker()
URL = "https://media.example/video"
Answer = TypeVar("Answer")


def share_of(job: Job) -> float:
    """What a job adds to the progress of its batch: 1 when the job is final."""
    return 1.0 if job.state.final else job.progress


def make_job(spec: Spec | None = None, **values: Any) -> Job:
    """A queued job, by default an extract."""
    now = time.time()
    defaults = {"id": new_id(), "owner": "ann", "created_at": now, "queued_at": now}
    return Job(spec=spec or ExtractSpec(Source(url=URL)), **{**defaults, **values})


def make_download(flight: str | None = None, **values: Any) -> Job:
    return make_job(DownloadSpec(Source(url=URL)), fingerprint=flight, **values)


def make_artifact(job: Job, size_bytes: int = 100) -> StoredArtifact:
    artifact_id = new_id()
    return StoredArtifact(
        id=artifact_id,
        job_id=job.id,
        owner=job.owner,
        storage_key=f"{artifact_id[-2:]}/{artifact_id}.mp4",
        filename="video.mp4",
        media_type="video/mp4",
        size_bytes=size_bytes,
        sha256="0" * 64,
        role="main",
    )


def at_once(work: Callable[[int], Answer], threads: int) -> list[Answer]:
    """The results of `work(0)`, `work(1)`… when they run at the same time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(threads)))


def stage_of(job: Job) -> str:
    """The stage that a job which no worker holds must have by its record."""
    if job.state.final:
        return "final"
    if job.wait_reason is WaitReason.DEPENDENCY:
        return "waiting"
    return "ready" if job.not_before is None else "delayed"


def source_id(job: Job) -> str:
    """The one job that it depends on."""
    (only,) = job.depends_on
    return only


def names(found: Sequence[bytes]) -> set[str]:
    return {item.decode() for item in found}


def every_key(client: redis.Redis) -> set[str]:
    return names(client.keys("*"))


class Records:
    """All job records in the store, read without the store's own code."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.jobs: dict[str, Job] = {}
        self.stages: dict[str, str] = {}
        for name in every_key(client):
            if name.startswith("clipmill:job:"):
                held = client.hgetall(name)
                job = job_of(json.loads(unpacked(held[b"record"])))
                self.jobs[job.id] = job
                self.stages[job.id] = held[b"stage"].decode()
                assert held[b"state"].decode() == job.state
                assert json.loads(unpacked(held[b"doc"]))["state"] == job.state
                assert float(held[b"progress"]) == share_of(job)

    def members(self, name: str) -> set[str]:
        kind = self._client.type(f"clipmill:{name}")
        if kind == b"zset":
            return names(self._client.zrange(f"clipmill:{name}", 0, -1))
        return names(self._client.smembers(f"clipmill:{name}"))

    def _ids(self, holds: Callable[[Job], bool]) -> set[str]:
        return {job.id for job in self.jobs.values() if holds(job)}

    def check(self, store: Store) -> None:
        """Assert that all indexes, stages, counts and counters agree with the records."""
        self._check_indexes()
        self._check_stages()
        self._check_dependents()
        self._check_batches(store)
        self._check_counters(store)

    def _check_indexes(self) -> None:
        assert self.members("index:all") == set(self.jobs)
        for state in JobState:
            assert self.members(f"index:state:{state}") == self._ids(
                lambda j, s=state: j.state is s
            )
        for kind in KINDS:
            of_kind = self._ids(lambda j, k=kind: j.kind == k)
            assert self.members(f"index:kind:{kind}") == of_kind
            for state in (JobState.QUEUED, JobState.RUNNING):
                inside = {id_ for id_ in of_kind if self.jobs[id_].state is state}
                assert self.members(f"{state}:{kind}") == inside
        queued = Counter(job.owner for job in self.jobs.values() if job.state is JobState.QUEUED)
        told = self._client.hgetall("clipmill:queued_by_owner")
        assert {owner.decode(): int(count) for owner, count in told.items()} == queued
        for owner in {job.owner for job in self.jobs.values()}:
            assert self.members(f"index:owner:{owner}") == self._ids(
                lambda j, o=owner: j.owner == o
            )

    def _check_stages(self) -> None:
        ready: dict[str, set[str]] = defaultdict(set)
        for job in self.jobs.values():
            stage = self.stages[job.id]
            assert job.attempt <= job.max_attempts
            assert (stage == "final") == job.state.final
            if job.state is JobState.RUNNING:
                assert stage in {"leased", "aside"}
            if stage == "ready":
                group = job.batch_id or job.fairness_group or "-"
                ready[f"ready:{job.kind}:{job.owner}:{group}"].add(job.id)
            assert (stage == "aside") == (job.id in self.members(f"aside:{job.kind}"))
            if stage not in {"leased", "ready", "aside"}:
                assert stage == stage_of(job)
        for queue in every_key(self._client):
            if queue.startswith("clipmill:ready:"):
                name = queue.removeprefix("clipmill:")
                assert self.members(name) == ready.pop(name)
                kind, owner, group = name.split(":")[1:]
                best = self._client.zrange(queue, 0, 0, withscores=True)[0][1]
                assert self._client.zscore(f"clipmill:oldest:{kind}:{owner}", group) == best
        assert not ready
        held = Counter(j.owner for j in self.jobs.values() if self.stages[j.id] == "leased")
        counted = self._client.hgetall("clipmill:leased_by_owner")
        assert {owner.decode(): int(count) for owner, count in counted.items()} == held
        for name, stage in (("leases", "leased"), ("delayed", "delayed"), ("final", "final")):
            assert self.members(name) == {id_ for id_, at in self.stages.items() if at == stage}

    def _check_dependents(self) -> None:
        needed: dict[str, set[str]] = defaultdict(set)
        for job in self.jobs.values():
            for source in job.depends_on if not job.state.final else ():
                needed[f"dependents:{source}"].add(job.id)
            told = self._client.hget(f"clipmill:job:{job.id}", "depends_on")
            assert (told is None) == job.state.final  # nothing waits for anything any more
            assert told is None or tuple(told.decode().split()) == job.depends_on
        for name in every_key(self._client):
            if name.startswith("clipmill:dependents:"):
                name = name.removeprefix("clipmill:")
                assert self.members(name) == needed.pop(name)
            if name.startswith("clipmill:flight:"):
                leader = self._client.get(name)
                assert leader is not None
                assert leader.decode() in self.jobs
        assert not needed
        assert self.members("unneeded") == self._ids(
            lambda job: (
                job.internal and not job.state.final and not self.members(f"dependents:{job.id}")
            )
        )

    def _check_batches(self, store: Store) -> None:
        for batch_id in {job.batch_id for job in self.jobs.values() if job.batch_id}:
            inside = [job for job in self.jobs.values() if job.batch_id == batch_id]
            batch, states = store.batches.get(batch_id), Counter(job.state.value for job in inside)
            assert batch.size == len(inside)
            assert {s: n for s, n in batch.counts.items() if n} == dict(states)
            assert abs(batch.progress - sum(map(share_of, inside)) / batch.size) < 1e-9
            assert (batch.finished_at is not None) == all(job.state.final for job in inside)

    def _check_counters(self, store: Store) -> None:
        # A retried job has ended more often than its record shows, hence "at least".
        counted = store.counters.read()
        for (kind, state), number in Counter(
            (job.kind, job.state.value) for job in self.jobs.values() if job.state.final
        ).items():
            assert counted[f"jobs_total{{kind={kind},state={state}}}"] >= number
