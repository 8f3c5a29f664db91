from __future__ import annotations

from clipmill.client.answers import Batch, Job

ARTIFACT = {"name": "a", "size_bytes": 1, "sha256": "00", "url": "/a"}


def test_a_job_keeps_what_it_does_not_know() -> None:
    job = Job.read({"id": "j", "kind": "clip", "state": "queued", "colour": "red"})
    assert job.document["colour"] == "red"
    assert job.progress == 0.0


def test_a_brief_job_of_a_batch_is_read_as_well() -> None:
    brief = {"id": "j", "kind": "clip", "state": "failed", "error": {"code": "not_media"}}
    batch = Batch.read({"id": "b", "state": "failed", "jobs": [brief]})
    assert batch.jobs[0].error.code == "not_media"
    assert batch.is_final
    assert not batch.succeeded


def test_a_partial_batch_is_final_but_a_running_job_is_not() -> None:
    assert Batch.read({"id": "b", "state": "partial"}).is_final
    assert not Job.read({"id": "j", "kind": "clip", "state": "running"}).is_final


def test_the_main_artifact_comes_first() -> None:
    artifacts = [{**ARTIFACT, "role": "thumbnail"}, {**ARTIFACT, "role": "main"}]
    job = Job.read(
        {"id": "j", "kind": "clip", "state": "succeeded", "result": {"artifacts": artifacts}}
    )
    assert [artifact.role for artifact in job.artifacts] == ["main", "thumbnail"]


def test_a_job_without_a_result_has_no_artifacts() -> None:
    assert Job.read({"id": "j", "kind": "clip", "state": "failed", "result": None}).artifacts == []
