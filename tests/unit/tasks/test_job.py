"""Job records: what goes into the store comes out again, and what a client sees is sound."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from tasks.errors import JobError, RequestError, ToolFailed, job_error_codes
from tasks.ids import IdMaker, is_id
from tasks.job import Failure, Job, WaitReason
from tasks.kinds import (
    ClipResult,
    ClipSpec,
    DownloadResult,
    DownloadSpec,
    ExtractResult,
    ExtractSpec,
    Origin,
    Verification,
)
from tasks.record import job_of, record_of
from tasks.rendering import public_job, render_job, rfc3339
from tasks.result import ArtifactRef, Result
from tasks.specs import Output, Source, Spec

NOW = 1763712000.25
URL = "https://media.example/v"
SPECS: list[Spec] = [
    ExtractSpec(Source(url=URL), 3),
    DownloadSpec(Source(url=URL), "720p", "mkv"),
    ClipSpec(Source(job_id="x"), 1.5, 2.25),
    ClipSpec(Source(upload_id="x"), 0, 1, "copy", Output("gif", 320, None, "pad", 12.5, "draft",
             "drop", True, "x")),
]  # fmt: skip

FILE = ArtifactRef("x", "x.mp4", "main", "video/mp4", 9, "ab", 1.5, 64, 36, "h264")
RESULTS: dict[str, Result] = {
    "extract": ExtractResult(info={"formats": [{"height": 36}]}, warnings=("w",)),
    "download": DownloadResult(source=Origin("x", duration_seconds=1.5), artifacts=(FILE,)),
    "clip": ClipResult(
        mode="smart", mode_reason="exact", requested_start=0.0, requested_end=1.0,
        actual_start=0.0, actual_end=1.0, frames=25, frames_encoded=5, frames_copied=20,
        verification=Verification(25, 25, 5, 40.0, 0.5, 0),
        artifacts=(FILE,), peak_memory_bytes=9, estimated_memory_bytes=9, memory_ratio=1.0,
    ),
}  # fmt: skip


def make(spec: Spec = SPECS[0]) -> Job:
    return Job("1" * 26, spec, "ann", NOW, NOW, metadata={"a": "b"}, external_id="é")


@pytest.mark.parametrize("spec", SPECS)
def test_a_record_survives_the_store(spec: Spec) -> None:
    queued = make(spec)
    running = queued.started(NOW + 1).entered("storing", ["ab/x.mp4"]).progressed(0.5, 2.0, 3.0)
    for job in (
        queued,
        queued.depending_on("2" * 26, WaitReason.DEPENDENCY),
        running,
        running.requeued(NOW + 2, not_before=NOW + 9),
        running.failed(NOW + 2, Failure.of(ToolFailed("no", {"stderr": "x"}))),
        running.succeeded(NOW + 2, RESULTS[spec.kind]),
    ):
        assert job_of(json.loads(json.dumps(record_of(job)))) == job


def test_writing_a_record_does_not_change_it() -> None:
    job = make()
    values = record_of(job)
    values["state"], values["spec"]["source"]["url"] = "failed", "x"
    assert job == make()


def test_an_attempt_is_counted_at_its_start_and_can_be_given_back() -> None:
    running = make().started(NOW)
    assert running.attempt == 1
    assert running.requeued(NOW).attempt == 1
    assert running.requeued(NOW, give_attempt_back=True).attempt == 0
    assert running.requeued(NOW).started(NOW).attempt == 2


def test_what_belongs_to_an_attempt_ends_with_it() -> None:
    running = make().started(NOW).entered("cutting").progressed(0.5, 2.0, 3.0)
    assert (running.phase, running.speed, running.eta_seconds) == ("cutting", 2.0, 3.0)
    for after in (running.requeued(NOW), running.cancelled(NOW), running.succeeded(NOW, Result())):
        assert (after.phase, after.speed, after.eta_seconds) == (None, None, None)
    assert running.requeued(NOW).progress == 0.0
    assert running.succeeded(NOW, Result()).progress == 1.0


def test_a_retry_begins_anew() -> None:
    failed = make().started(NOW).failed(NOW, Failure("x", "y"))
    again = failed.retried(NOW + 5)
    assert again == Job(**{**vars(make()), "queued_at": NOW + 5})


def test_what_an_attempt_showed_to_need_holds_until_the_client_begins_anew() -> None:
    running = make().started(NOW).needing(300)
    assert running.requeued(NOW + 1).started(NOW + 2).memory_floor_bytes == 300
    failed = running.failed(NOW + 3, Failure("x", "y"))
    assert failed.retried(NOW + 4).memory_floor_bytes == 0


def test_who_waits_for_memory_until_a_time_still_does_when_it_has_come() -> None:
    assert make().postponed(NOW, WaitReason.MEMORY).due().wait_reason is WaitReason.MEMORY
    assert make().postponed(NOW).due().wait_reason is None


def test_how_often_a_job_was_passed_is_forgotten_when_it_begins_or_is_asked_for_anew() -> None:
    passed = make().passed(5)
    assert passed.waiting_for(None).times_bypassed == 5
    assert passed.started(NOW).times_bypassed == 0
    assert passed.cancelled(NOW).retried(NOW).times_bypassed == 0


def test_progress_never_goes_back_nor_beyond_the_end() -> None:
    job = make().started(NOW).progressed(0.5)
    assert job.progressed(0.2).progress == 0.5
    assert job.progressed(7.0).progress == 1.0


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_tools_odd_number_does_not_reach_the_record(odd: float) -> None:
    job = make().started(NOW).progressed(0.5).progressed(odd, odd, odd)
    assert (job.progress, job.speed, job.eta_seconds) == (0.5, None, None)
    json.loads(render_job(job))
    with pytest.raises(ValueError, match="JSON"):
        render_job(job.succeeded(NOW, ExtractResult(info={"peak": odd})))


def test_half_a_character_does_not_break_the_document() -> None:
    job = make().started(NOW).succeeded(NOW, ExtractResult(info={"title": "a\ud800b"}))
    assert json.loads(render_job(job))["result"]["info"]["title"] == "a?b"


def test_a_client_sees_what_the_contract_names() -> None:
    seen = public_job(make().started(NOW + 1.5).failed(NOW + 4, Failure("x", "y", True, {"z": 1})))
    assert list(seen) == [
        "id", "kind", "state", "phase", "wait_reason", "progress", "speed", "eta_seconds",
        "priority", "attempt", "max_attempts", "batch_id", "depends_on", "external_id", "metadata",
        "spec", "created_at", "started_at", "finished_at", "queue_seconds", "run_seconds", "result",
        "error", "links",
    ]  # fmt: skip
    assert (seen["queue_seconds"], seen["run_seconds"]) == (1.5, 2.5)
    assert seen["created_at"] == "2025-11-21T08:00:00.250Z"
    assert seen["error"] == {"code": "x", "message": "y", "retryable": True, "detail": {"z": 1}}
    assert seen["spec"] == {"kind": "extract", "source": {"url": URL}, "playlist_items": 3}
    assert rfc3339(None) is None


def test_a_spec_says_only_what_was_asked() -> None:
    assert SPECS[2].to_dict()["source"] == {"job_id": "x"}
    assert SPECS[2].to_dict()["output"] == {
        "fit": "contain", "quality": "standard", "audio": "keep", "subtitles": "keep",
        "thumbnail": False,
    }  # fmt: skip


def test_ids_sort_by_time_and_never_repeat() -> None:
    make_id = IdMaker()
    ids = [make_id() for _ in range(5000)]
    time.sleep(0.002)
    ids.append(IdMaker()())
    assert ids == sorted(set(ids))
    assert all(is_id(item) for item in ids)


@pytest.mark.parametrize(
    "text", ["", "../x", "*", "A" * 26, "a" * 25, "a" * 27, "a" * 26 + "\n", "u" * 26]
)
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


def ours(parent: type) -> list[type]:
    """The errors of this room; `web` has some of its own."""
    return [kind for kind in parent.__subclasses__() if kind.__module__ == "tasks.errors"]


CODES = """unsupported_url, unavailable, login_required, blocked_address, network_error*,
site_throttled*, too_large, too_long, not_media, corrupt_media, range_outside_media, no_such_stream,
exceeds_memory_budget, memory_exceeded*, deadline_exceeded, tool_failed*, storage_full*,
storage_unavailable*, source_failed, worker_lost*, internal_error"""


def test_the_error_codes_are_those_of_the_contract() -> None:
    wanted = {code.strip() for code in CODES.split(",")}
    kinds = job_error_codes()
    assert {code + "*" * kind.retryable for code, kind in kinds.items()} == wanted
    assert all(kind.__name__.lower() == code.replace("_", "") for code, kind in kinds.items())


def test_every_error_of_a_request_has_a_code_of_its_own() -> None:
    kinds = ours(RequestError)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.code != RequestError.code for kind in kinds)


def test_the_tree_of_errors_is_drawn_completely() -> None:
    text = (Path(__file__).parents[3] / "tasks" / "errors.py").read_text().split('"""')[1]
    for kind in (*ours(JobError), *ours(RequestError)):
        drawn = kind.__name__ + "*" * getattr(kind, "retryable", False)
        assert f"{drawn} " in text.replace("\n", " \n"), drawn
