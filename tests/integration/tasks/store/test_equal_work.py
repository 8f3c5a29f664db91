"""Equal work runs once, and artifacts stay as long as a job shows them; deleting leaves nothing."""

from __future__ import annotations

import time

import pytest

from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactGone, JobNotFinal, NotFound
from tasks.job import Failure, Job, JobState, WaitReason
from tasks.kinds import DownloadResult
from tasks.store import Extras, IdempotencyKey, Lease, NewBatch, NewSources, QueueLimits, Store
from tests.support.records import (
    Records,
    at_once,
    every_key,
    make_artifact,
    make_download,
    make_job,
    new_id,
)
from tests.support.valkey import ValkeyServer

FLIGHT = "f" * 64
NUMBERS_THAT_STAY = {"clipmill:counters", "clipmill:totals"}


def run(store: Store, kind: str = "download") -> Lease:
    lease = store.leases.take(kind)
    assert lease is not None
    return store.jobs.hold(lease, lease.job.started(time.time()), 30)


def succeed(store: Store, lease: Lease, *artifacts: tuple[StoredArtifact, bool]) -> Job:
    result = DownloadResult().with_artifacts([item for item, _ in artifacts])
    job = lease.job.succeeded(time.time(), result)
    store.jobs.release(lease, job, Extras(artifacts=artifacts, cache_key="clip:x"))
    return job


def test_of_fifty_equal_jobs_one_is_ready(valkey: ValkeyServer) -> None:
    stores = [Store.at(valkey.url) for _ in range(2)]
    jobs = [make_download(FLIGHT) for _ in range(50)]
    stages = at_once(lambda number: stores[number % 2].submit([jobs[number]])[0], 50)
    assert sorted(stages) == ["ready"] + ["waiting"] * 49
    leader = jobs[stages.index("ready")]
    assert stores[0].equal_work.leaders([FLIGHT]) == {FLIGHT: leader}
    for job in jobs:
        if job is not leader:
            found = stores[0].jobs.get(job.id)
            assert (found.depends_on, found.wait_reason) == ((leader.id,), WaitReason.DEPENDENCY)


def test_a_source_that_another_job_delivers_is_not_made(store: Store, valkey: ValkeyServer) -> None:
    leader, needless = make_download(FLIGHT), make_download(FLIGHT, internal=True)
    child = make_job(depends_on=(needless.id,), wait_reason=WaitReason.DEPENDENCY)
    store.submit([leader])
    assert store.submit([child], NewSources((needless,))) == ["", "waiting"]
    assert store.jobs.get(child.id).depends_on == (leader.id,)
    assert store.dependents.of(leader.id) == [child.id]
    with valkey.client() as client:
        assert not [name for name in every_key(client) if needless.id in name]


@pytest.mark.parametrize("internal", [False, True])
def test_a_job_that_is_queued_again_follows_whoever_does_its_work_by_now(
    store: Store, internal: bool
) -> None:
    job, other = make_download(FLIGHT, internal=internal), make_download(FLIGHT)
    store.submit([job])
    cancelled = job.cancelled(time.time())
    store.jobs.replace(job, cancelled, 1)
    assert store.submit([other]) == ["ready"]
    assert store.jobs.replace(cancelled, cancelled.retried(time.time()), 2) == ["waiting"]
    assert store.jobs.get(job.id).depends_on == (other.id,)
    assert store.dependents.of(other.id) == [job.id]


def test_a_leader_that_is_outdated_leads_nobody_more(store: Store) -> None:
    leader = make_download(FLIGHT)
    store.submit([leader])
    succeed(store, run(store))
    fresh = make_download(FLIGHT)
    assert store.submit([fresh], NewSources((), {FLIGHT: leader.id})) == ["ready"]
    assert store.jobs.get(fresh.id).depends_on == ()
    late = make_download(FLIGHT)  # whose plan still found the old one
    assert store.submit([late], NewSources((), {FLIGHT: leader.id})) == ["waiting"]
    assert store.jobs.get(late.id).depends_on == (fresh.id,)


def test_a_submission_that_is_sent_again_after_a_lost_answer_changes_nothing(
    store: Store, valkey: ValkeyServer
) -> None:
    """Also when others have done something with its jobs in between."""
    create = store.connection._scripts["create"]
    answers: list[object] = []

    def twice(**arguments: object) -> object:
        create(**arguments)
        assert store.leases.take("download") is not None
        answers.append(create(**arguments))
        return answers[-1]

    store.connection._scripts["create"] = twice  # type: ignore[assignment]
    batch_id = new_id()
    source = make_download(FLIGHT, internal=True)
    children = [
        make_job(depends_on=(source.id,), wait_reason=WaitReason.DEPENDENCY, batch_id=batch_id)
        for _ in range(2)
    ]
    stages = store.submit(
        children,
        NewSources((source,)),
        idempotency=IdempotencyKey.of("ann", "mine", []),
        limits=QueueLimits(3, 3),
        batch=NewBatch(batch_id, "ann", time.time()),
    )
    assert stages == ["leased", "waiting", "waiting"]
    assert store.batches.get(batch_id).counts["queued"] == 2
    with valkey.client() as client:
        Records(client).check(store)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_who_comes_after_an_end_without_result_leads(store: Store, end: str) -> None:
    leader = make_download(FLIGHT)
    store.submit([leader])
    now = time.time()
    after = leader.cancelled(now) if end == "cancelled" else leader.failed(now, Failure("x", "y"))
    store.jobs.replace(leader, after, 1)
    assert store.submit([make_download(FLIGHT)]) == ["ready"]


def test_who_comes_after_the_success_is_ready_and_knows_where_the_file_is(store: Store) -> None:
    leader = make_download(FLIGHT)
    store.submit([leader])
    succeed(store, run(store))
    follower = make_download(FLIGHT)
    assert store.submit([follower]) == ["ready"]
    assert store.jobs.get(follower.id).depends_on == (leader.id,)


def test_who_changes_its_source_no_longer_holds_the_old_one(store: Store) -> None:
    first, second = make_download(), make_download()
    child = make_job(depends_on=(first.id,), wait_reason=WaitReason.DEPENDENCY)
    for job in (first, second, child):
        store.submit([job])
    store.jobs.replace(child, child.depending_on([second.id], WaitReason.DEPENDENCY), 1)
    assert store.dependents.of(first.id) == []
    assert store.dependents.of(second.id) == [child.id]
    store.jobs.replace(first, first.cancelled(time.time()), 1)
    store.jobs.delete(first.id)


def test_the_end_of_a_source_is_remembered_until_it_is_settled(store: Store) -> None:
    parent = make_download()
    child = make_job(depends_on=(parent.id,), wait_reason=WaitReason.DEPENDENCY)
    store.submit([parent])
    assert store.submit([child]) == ["waiting"]
    store.jobs.replace(parent, parent.cancelled(time.time()), 1)
    assert store.dependents.to_release() == [parent.id]
    store.dependents.released(parent.id)
    assert store.dependents.to_release() == [parent.id]  # the child still waits
    store.jobs.replace(child, child.failed(time.time(), Failure("source_failed", "")), 1)
    store.dependents.released(parent.id)
    assert store.dependents.to_release() == []


def test_who_comes_to_a_source_that_has_just_failed_is_told_of_it(store: Store) -> None:
    parent = make_download()
    store.submit([parent])
    store.jobs.replace(parent, parent.cancelled(time.time()), 1)
    child = make_job(depends_on=(parent.id,), wait_reason=WaitReason.DEPENDENCY)
    assert store.submit([child]) == ["waiting"]
    assert store.dependents.to_release() == [parent.id]
    job, revision = store.jobs.get_with_revision(parent.id)
    store.jobs.replace(job, job.retried(time.time()), revision)
    assert store.dependents.to_release() == []


def test_deleting_the_last_job_leaves_only_numbers(store: Store, valkey: ValkeyServer) -> None:
    batch_id = new_id()
    parent = make_download(FLIGHT, batch_id=batch_id, external_id="é")
    store.submit([parent], batch=NewBatch(batch_id, "ann", time.time()))
    lease = run(store)
    artifacts = [(make_artifact(lease.job), True), (make_artifact(lease.job), True)]
    child = make_job(depends_on=(parent.id,), wait_reason=WaitReason.DEPENDENCY)
    store.submit([child])
    store.server.lock("x", "y", 0.01)
    succeed(store, lease, *artifacts)
    assert store.counters.gauges().artifact_bytes == 200
    with pytest.raises(JobNotFinal):
        store.jobs.delete(parent.id)
    job, revision = store.jobs.get_with_revision(child.id)
    store.jobs.replace(job, job.cancelled(time.time()), revision)
    assert store.jobs.delete(child.id) == []
    assert store.jobs.delete(parent.id) == [item for item, _ in artifacts]
    for look in (
        lambda: store.jobs.get(parent.id),
        lambda: store.batches.get(batch_id),
        lambda: store.artifacts.get(artifacts[0][0].id),
        lambda: store.jobs.delete(parent.id),
    ):
        with pytest.raises(NotFound):
            look()
    assert store.counters.gauges().artifact_bytes == 0
    time.sleep(0.02)
    assert store.leases.take("download") is None
    with valkey.client() as client:
        assert {it for it in every_key(client) if ":use:" not in it} <= NUMBERS_THAT_STAY


def test_a_job_that_is_not_final_is_not_deleted(store: Store) -> None:
    store.submit([make_download()])
    lease = run(store)
    queued = make_job()
    store.submit([queued])
    for job_id in (lease.job.id, queued.id):
        with pytest.raises(JobNotFinal):
            store.jobs.delete(job_id)


def test_a_deleted_job_leaves_its_batch_right(store: Store) -> None:
    batch_id = new_id()
    jobs = [make_job(batch_id=batch_id) for _ in range(3)]
    store.submit(jobs, batch=NewBatch(batch_id, "ann", time.time()))
    for job in jobs[:2]:
        store.jobs.replace(job, job.cancelled(time.time()), 1)
    succeed(store, run(store, "extract"))
    assert store.batches.get(batch_id).state == "partial"
    store.jobs.delete(jobs[0].id)
    batch = store.batches.get(batch_id)
    assert (batch.size, batch.counts["cancelled"], batch.progress) == (2, 1, 1.0)


def test_a_shared_artifact_goes_with_the_last_job_that_shows_it(store: Store) -> None:
    jobs = [make_download(), make_download()]
    for job in jobs:
        store.submit([job])
    first = run(store)
    artifact = make_artifact(first.job)
    succeed(store, first, (artifact, True))
    succeed(store, run(store), (artifact, False))
    assert store.counters.gauges().artifact_bytes == 100
    assert store.jobs.delete(first.job.id) == []
    assert store.artifacts.get(artifact.id) == artifact
    other = next(job for job in jobs if job.id != first.job.id)
    assert store.jobs.delete(other.id) == [artifact]
    assert store.counters.gauges().artifact_bytes == 0


def test_an_artifact_that_went_meanwhile_cannot_be_shown(store: Store) -> None:
    for _ in range(2):
        store.submit([make_download()])
    first, second = run(store), run(store)
    artifact = make_artifact(first.job)
    succeed(store, first, (artifact, True))
    store.jobs.delete(first.job.id)
    with pytest.raises(ArtifactGone):
        succeed(store, second, (artifact, False))
    assert store.jobs.get(second.job.id).state is JobState.RUNNING


def test_another_owners_artifact_is_not_there(store: Store) -> None:
    store.submit([make_download()])
    lease = run(store)
    artifact = make_artifact(lease.job)
    succeed(store, lease, (artifact, True))
    assert store.artifacts.get(artifact.id, "ann") == artifact
    with pytest.raises(NotFound):
        store.artifacts.get(artifact.id, "bob")
    for name in ("*", "../x", "", "a" * 10_000):
        with pytest.raises(NotFound):
            store.artifacts.get(name)
