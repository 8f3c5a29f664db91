"""The client against a server that misbehaves: refusals, broken lines, wrong bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from clipmill.client import Client
from clipmill.client.answers import Artifact
from clipmill.client.errors import (
    ApiProblem,
    BadAnswer,
    DamagedDownload,
    JobNotSucceeded,
    StillRunning,
    Unreachable,
)
from tests.support.origin import Exchange, Origin, answers
from tests.support.origin.answers import Answer

JOB = "/api/v2/jobs/j1"
CONTENT = bytes(range(256)) * 4096


def job_document(state: str, **more: object) -> dict[str, object]:
    return {"id": "j1", "kind": "clip", "state": state, **more}


def as_json(document: object) -> Answer:
    return answers.content(json.dumps(document).encode(), "application/json")


def problem(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    document = {
        "status": status,
        "code": code,
        "detail": "It cannot be done.",
        "errors": [{"pointer": "/start", "detail": "Too late."}],
    }
    return answers.status(status, headers, json.dumps(document).encode())


def artifact(sha256: str | None = None, name: str = "clip.mp4") -> Artifact:
    digest = sha256 or hashlib.sha256(CONTENT).hexdigest()
    return Artifact(name, "main", "video/mp4", len(CONTENT), digest, "/artifact")


def test_a_refusal_carries_the_problem_document(origin: Origin) -> None:
    origin.add(JOB, problem(404, "not_found"))
    with Client(origin.url("")) as client, pytest.raises(ApiProblem) as raised:
        client.job("j1")
    assert raised.value.status == 404
    assert raised.value.code == "not_found"
    assert raised.value.errors == [{"pointer": "/start", "detail": "Too late."}]
    assert "It cannot be done." in str(raised.value)
    assert "/start: Too late." in str(raised.value)


def test_a_busy_api_is_asked_again_when_it_said(origin: Origin) -> None:
    busy = problem(503, "queue_full", {"Retry-After": "1"})
    origin.add(JOB, answers.in_turn(busy, as_json(job_document("queued"))))
    with Client(origin.url("")) as client:
        assert client.job("j1").state == "queued"
    assert origin.requests(JOB) == 2


def test_an_api_that_stays_busy_is_given_up(origin: Origin) -> None:
    origin.add(JOB, problem(503, "store_unavailable"))
    with Client(origin.url(""), max_tries=2) as client, pytest.raises(ApiProblem):
        client.job("j1")
    assert origin.requests(JOB) == 2


@pytest.mark.parametrize("page", [b"<html>", b"", b"[1]"])
def test_an_error_page_of_something_else_is_a_problem_without_a_code(
    origin: Origin, page: bytes
) -> None:
    origin.add(JOB, answers.status(502, None, page))
    with Client(origin.url("")) as client, pytest.raises(ApiProblem) as raised:
        client.job("j1")
    assert (raised.value.status, raised.value.code) == (502, "")


def test_an_answer_that_is_not_ours_is_said_to_be_so(origin: Origin) -> None:
    origin.add(JOB, answers.content(b"<html>hello", "text/html"))
    with Client(origin.url("")) as client, pytest.raises(BadAnswer):
        client.job("j1")


def test_a_silent_api_is_unreachable(origin: Origin) -> None:
    origin.add(JOB, answers.unanswered())
    with (
        Client(origin.url(""), timeout_seconds=0.3, max_tries=1) as client,
        pytest.raises(Unreachable),
    ):
        client.job("j1")


def test_waiting_ends_with_the_job_or_with_patience(origin: Origin) -> None:
    running, failed = job_document("running"), job_document("failed")
    origin.add(JOB, answers.in_turn(as_json(running), as_json(failed)))
    with Client(origin.url("")) as client, pytest.raises(JobNotSucceeded) as raised:
        client.wait("j1", check=True)
    assert raised.value.job.state == "failed"
    origin.add(JOB, as_json(running))
    with Client(origin.url("")) as client, pytest.raises(StillRunning):
        client.wait("j1", timeout_seconds=0.3)


def test_a_list_is_read_page_by_page(origin: Origin) -> None:
    first = {"jobs": [job_document("queued")], "next_cursor": "c2"}
    last = {"jobs": [job_document("failed")], "next_cursor": None}
    origin.add("/api/v2/jobs", answers.in_turn(as_json(first), as_json(last)))
    with Client(origin.url("")) as client:
        assert [job.state for job in client.jobs(state="any")] == ["queued", "failed"]
    targets = [seen.target for seen in origin.log()]
    assert "cursor" not in targets[0]
    assert "cursor=c2" in targets[1]
    assert all("state=any" in target for target in targets)


def test_events_of_a_job_that_is_deleted_meanwhile_end_with_the_reason(origin: Origin) -> None:
    gone = b"event: deleted\nid: deleted\ndata: {}\n\n"
    origin.add(JOB + "/events", answers.content(gone, "text/event-stream"))
    with Client(origin.url("")) as client, pytest.raises(ApiProblem) as caught:
        list(client.events("j1"))
    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_events_go_on_behind_the_last_one_when_the_line_breaks(origin: Origin) -> None:
    def event(number: int, state: str) -> bytes:
        return f"id: {number}\nevent: job\ndata: {json.dumps(job_document(state))}\n\n".encode()

    def broken(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream", 10_000)
        exchange.body(event(1, "queued") + b"id: 2\ndata: {")
        exchange.close_connection = True

    rest = answers.content(event(2, "running") + event(3, "succeeded"), "text/event-stream")
    origin.add(JOB + "/events", answers.in_turn(broken, rest))
    with Client(origin.url("")) as client:
        states = [job.state for job in client.events("j1")]
    assert states == ["queued", "running", "succeeded"]
    assert origin.log()[1].headers["last-event-id"] == "1"


def breaks_off_after(sent: int) -> Answer:
    def answer(exchange: Exchange) -> None:
        exchange.head(200, "video/mp4", len(CONTENT), {"Accept-Ranges": "bytes"})
        exchange.body(CONTENT[:sent])
        exchange.close_connection = True

    return answer


def test_a_download_goes_on_where_the_line_broke(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    whole = answers.file(tmp_path / "source")
    origin.add("/artifact", answers.in_turn(breaks_off_after(600_000), whole))
    heard: list[int] = []
    with Client(origin.url("")) as client:
        path = client.download(artifact(), tmp_path / "out", on_bytes=heard.append)
    assert path.read_bytes() == CONTENT
    asked = origin.log()[1].headers["range"]
    assert 0 < int(asked.removeprefix("bytes=").removesuffix("-")) <= 600_000
    assert heard == sorted(heard)
    assert heard[-1] == len(CONTENT)
    assert list((tmp_path / "out").iterdir()) == [path]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(origin: Origin, tmp_path: Path) -> None:
    origin.add("/artifact", breaks_off_after(600_000))
    with Client(origin.url(""), max_tries=1) as client:
        with pytest.raises(Unreachable):
            client.download(artifact(), tmp_path)
        assert not (tmp_path / "clip.mp4").exists()
        (tmp_path / "source").write_bytes(CONTENT)
        origin.add("/artifact", answers.file(tmp_path / "source"))
        assert client.download(artifact(), tmp_path).read_bytes() == CONTENT
    assert "range" in origin.log()[1].headers


def test_a_server_that_knows_no_ranges_sends_the_whole_again(
    origin: Origin, tmp_path: Path
) -> None:
    whole = answers.content(CONTENT, "video/mp4")
    origin.add("/artifact", answers.in_turn(breaks_off_after(600_000), whole))
    with Client(origin.url("")) as client:
        assert client.download(artifact(), tmp_path).read_bytes() == CONTENT


def test_damaged_bytes_are_not_kept(origin: Origin, tmp_path: Path) -> None:
    origin.add("/artifact", answers.content(bytes(len(CONTENT)), "video/mp4"))
    with Client(origin.url("")) as client, pytest.raises(DamagedDownload):
        client.download(artifact(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../evil.mp4", "/etc/evil.mp4", "..\\evil.mp4", ".evil.mp4"])
def test_a_server_does_not_choose_our_folders(origin: Origin, tmp_path: Path, name: str) -> None:
    origin.add("/artifact", answers.content(CONTENT, "video/mp4"))
    with Client(origin.url("")) as client:
        path = client.download(artifact(name=name), tmp_path / "out")
    assert path == tmp_path / "out" / "evil.mp4"


@pytest.mark.parametrize("name", ["", "..", "/", "\0"])
def test_a_name_that_is_none_is_refused(origin: Origin, tmp_path: Path, name: str) -> None:
    with Client(origin.url("")) as client, pytest.raises(BadAnswer):
        client.download(artifact(name=name), tmp_path)


def test_the_key_stays_with_the_api_when_an_artifact_lies_elsewhere(
    origin: Origin, tmp_path: Path
) -> None:
    with Origin() as elsewhere:
        target = elsewhere.add("/bucket/clip", answers.content(CONTENT, "video/mp4"))
        origin.add("/artifact", answers.redirect(target, 307))
        with Client(origin.url(""), "cm_secret") as client:
            client.download(artifact(), tmp_path)
        assert origin.log()[0].headers["authorization"] == "Bearer cm_secret"
        assert "cm_secret" not in str(elsewhere.log()[0].headers)


def test_this_machine_is_not_asked_through_a_proxy(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    origin.add(JOB, as_json(job_document("queued")))
    with Client(origin.url(""), max_tries=1) as client:
        assert client.job("j1").state == "queued"
