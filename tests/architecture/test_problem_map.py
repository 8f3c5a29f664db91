"""No refusal may reach a client as an accident: each has its status, title and form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.exceptions import default_exceptions

import web.http.errors  # noqa: F401 - its classes count too
from tasks.errors import InvalidRequest, JobError, RequestError, StorageFull, StorageUnavailable
from web.http.problems import PROBLEMS, RETRY_AFTER_SECONDS, register_problems


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    register_problems(app)
    return app


def test_every_request_error_has_a_row_in_the_map() -> None:
    assert set(below(RequestError)) == {kind for kind in PROBLEMS if issubclass(kind, RequestError)}


def test_every_code_of_a_request_error_is_its_own() -> None:
    codes = [kind.code for kind in PROBLEMS]
    assert len(set(codes)) == len(codes)


def test_every_503_says_when_to_come_again() -> None:
    assert {kind for kind, (status, _) in PROBLEMS.items() if status == 503} == set(
        RETRY_AFTER_SECONDS
    )


@pytest.mark.parametrize("kind", sorted(below(RequestError), key=lambda kind: kind.__name__))
def test_a_request_error_becomes_its_problem(app: Flask, kind: type[RequestError]) -> None:
    def view() -> str:
        raise kind("because")

    app.add_url_rule("/", view_func=view)
    answer = app.test_client().get("/")
    status, title = PROBLEMS[kind]
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": f"urn:clipmill:problem:{kind.code}", "title": title, "status": status,
        "detail": "because", "instance": "/", "code": kind.code, "errors": [],
    }  # fmt: skip
    assert ("Retry-After" in answer.headers) == (status in {429, 503})
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("kind", sorted(below(JobError), key=lambda kind: kind.__name__))
def test_a_job_error_at_submission_is_a_422_with_its_code(app: Flask, kind: type[JobError]) -> None:
    def view() -> str:
        raise kind("because")

    app.add_url_rule("/", view_func=view)
    answer = app.test_client().get("/")
    # But for a storage that is away or full: nothing is wrong with what was asked.
    is_storage = kind in (StorageUnavailable, StorageFull)
    assert answer.status_code == (503 if is_storage else 422)
    assert answer.json["code"] == kind.code
    assert ("Retry-After" in answer.headers) == is_storage


@pytest.mark.parametrize("status", sorted(default_exceptions))
def test_every_http_error_is_a_problem_document(app: Flask, status: int) -> None:
    def view() -> str:
        raise default_exceptions[status]()

    app.add_url_rule("/", view_func=view)
    answer = app.test_client().get("/")
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["code"].replace("_", "").isalpha()


def test_an_error_of_ours_shows_a_reference_and_nothing_else(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    def view() -> str:
        raise ValueError("secret /var/lib/path")

    app.add_url_rule("/", view_func=view)
    answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert answer.json["code"] == "internal_error"
    assert "secret" not in answer.text
    assert "/var" not in answer.text
    reference = caplog.records[-1].getMessage().split()[-1]
    assert reference in answer.json["detail"]


def test_an_unending_list_of_faults_is_cut(app: Flask) -> None:
    from tasks.errors import Fault

    def view() -> str:
        raise InvalidRequest("no" * 5000, tuple(Fault("/" + "x" * 9999, "y") for _ in range(9999)))

    app.add_url_rule("/", view_func=view)
    assert len(app.test_client().get("/").data) < 50_000
