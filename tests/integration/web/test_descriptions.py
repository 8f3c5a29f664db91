"""What the API says of itself: health, metrics, the document and its page, the headers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.errors import NotMedia
from tasks.metrics.report import WorkerReport
from tests.integration.web.test_jobs import submitted
from tests.integration.web.test_submission import JOBS, URL
from tests.support.stack import Api, Hands

SERVICES = {"redis", "workers", "storage", "ffmpeg", "yt_dlp"}


def worker_report() -> WorkerReport:
    return WorkerReport(
        id="w1", host="here", seen_at=time.time(), concurrency=4, running=1,
        memory_budget_bytes=512, memory_reserved_bytes=100, memory_used_bytes=50,
        disk_free_bytes=10**9, kinds=("clip",), tools={"ffmpeg": "9.0.2", "yt_dlp": "2026.8.19"},
    )  # fmt: skip


def test_the_front_door_says_what_answers_here(client: httpx2.Client) -> None:
    for accept in ("*/*", "application/json", "text/html"):
        assert client.get("/", headers={"Accept": accept}).status_code == 200
    body = client.get("/").json()
    assert body["name"] == "clipmill"
    assert body["version"]
    for path in body["endpoints"].values():
        assert path.startswith("/")


def test_probes_answer_while_everything_is_there(client: httpx2.Client) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_without_a_worker_it_is_degraded_and_with_one_healthy(
    client: httpx2.Client, api: Api
) -> None:
    without = client.get("/health")
    assert (without.status_code, without.json()["status"]) == (200, "degraded")
    api.store.workers.report(worker_report())
    body = client.get("/api/v2/system/health").json()
    assert body["status"] == "healthy"
    assert set(body["services"]) == SERVICES
    assert {service["status"] for service in body["services"].values()} == {"healthy"}
    assert body["services"]["ffmpeg"]["versions"] == ["9.0.2"]
    assert body["uptime_seconds"] > 0
    assert body["version"]


def metrics_of(client: httpx2.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_equal_the_records(client: httpx2.Client, hands: Hands, api: Api) -> None:
    for number in range(4):
        submitted(client, source={"url": f"{URL}/{number}"})
    hands.finish(hands.take(), b"12345")
    hands.fail(hands.take(), NotMedia("no"))
    hands.take()
    api.store.workers.report(worker_report())
    found = metrics_of(client)

    def value(name: str, **labels: str) -> float:
        return found[f"clipmill_{name}", frozenset(labels.items())]

    assert value("jobs_total", kind="download", state="succeeded") == 1
    assert value("jobs_total", kind="download", state="failed") == 1
    assert value("jobs_total", kind="clip", state="failed") == 0
    assert value("job_failures_total", kind="download", code="not_media") == 1
    assert value("jobs_running", kind="download") == 1
    assert value("queue_depth", kind="download") == 1
    assert value("queue_oldest_seconds", kind="download") > 0
    assert value("artifact_bytes") == 5
    assert value("job_queue_seconds_count", kind="download") == 3
    assert value("job_run_seconds_bucket", kind="download", le="+Inf") == 2
    assert value("worker_up", worker="w1") == 1
    assert value("memory_budget_bytes", worker="w1") == 512
    assert value("store_up") == 1


def test_requests_are_counted_by_template_and_never_by_what_a_client_makes_up(
    client: httpx2.Client,
) -> None:
    job_id = submitted(client)
    for path in (f"{JOBS}/{job_id}", f"{JOBS}/{job_id}?wait=0", f"/made/up/{job_id}"):
        client.get(path)
    client.request("MADEUP", f"/{job_id}")
    found = metrics_of(client)
    labels = [dict(row) for name, row in found if name == "clipmill_http_request_seconds_count"]
    assert {"route": "/api/v2/jobs/{job_id}", "method": "GET", "status": "200"} in labels
    assert {row["method"] for row in labels} <= {
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "HEAD",
        "DELETE",
        "OPTIONS",
        "other",
    }
    assert not any(job_id in row["route"] or "made" in row["route"] for row in labels)


@pytest.fixture(scope="module")
def document(shared_api: Api) -> dict[str, Any]:
    with shared_api.client() as client:
        found: dict[str, Any] = client.get("/api/v2/openapi.json").json()
        return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method.upper()} {path}", operation


def test_the_document_has_every_call(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    assert set(document["components"]["securitySchemes"]) == {"key", "bearer"}
    assert {name for name, _ in operations(document)} >= {
        "POST /api/v2/jobs", "GET /api/v2/jobs", "GET /api/v2/jobs/{job_id}",
        "DELETE /api/v2/jobs/{job_id}", "POST /api/v2/jobs/{job_id}/cancel",
        "POST /api/v2/jobs/{job_id}/retry", "GET /api/v2/jobs/{job_id}/events",
        "POST /api/v2/uploads", "GET /api/v2/uploads", "DELETE /api/v2/uploads/{upload_id}",
        "POST /api/v2/uploads/resumable", "PATCH /api/v2/uploads/resumable/{upload_id}",
        "POST /api/v2/batches", "GET /api/v2/batches", "GET /api/v2/batches/{batch_id}",
        "POST /api/v2/batches/{batch_id}/cancel", "POST /api/v2/batches/{batch_id}/retry",
        "GET /api/v2/batches/{batch_id}/archive", "GET /api/v2/batches/{batch_id}/events",
        "GET /api/v2/artifacts/{artifact_id}", "GET /api/v2/events", "GET /health",
        "GET /api/v2/system/health", "GET /livez", "GET /readyz", "GET /metrics", "GET /",
    }  # fmt: skip


def test_every_call_has_a_summary_a_success_and_errors_as_problems(
    document: dict[str, Any],
) -> None:
    for name, operation in operations(document):
        assert operation["summary"].endswith("."), name
        codes = set(operation["responses"])
        assert any(code.startswith("2") for code in codes), name
        for code, answer in operation["responses"].items():
            if code.startswith(("4", "5")) and "$ref" in answer:
                described = followed(document, answer["$ref"])
                assert list(described["content"]) == ["application/problem+json"], (name, code)


def followed(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        assert followed(document, reference)


def test_the_document_says_which_fields_each_kind_has(document: dict[str, Any]) -> None:
    job = followed(document, "#/components/schemas/JobRequest")
    assert set(job["discriminator"]["mapping"]) == {"extract", "download", "clip"}
    clip = followed(document, "#/components/schemas/ClipRequest")
    assert {"source", "start", "end", "duration", "mode", "output"} <= set(clip["properties"])
    assert clip["properties"]["mode"]["enum"] == ["auto", "copy", "smart", "encode"]
    assert [way["type"] for way in clip["properties"]["start"]["oneOf"]] == ["number", "string"]
    submit = document["paths"]["/api/v2/jobs"]["post"]
    content = submit["requestBody"]["content"]["application/json"]
    assert content == {"schema": {"$ref": "#/components/schemas/JobRequest"}}


def test_the_page_of_the_document_needs_nothing_from_elsewhere(client: httpx2.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        assert link.startswith("/docs/")
        asset = client.get(link)
        assert asset.status_code == 200
        assert asset.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in page.text
    assert "validatorUrl: null" in client.get("/docs/start.js").text


@pytest.mark.parametrize(
    "name", ["nope.js", "index.html", "..%2f__init__.py", "swagger-ui.css.map"]
)
def test_only_the_named_assets_are_given_out(client: httpx2.Client, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/livez", "/nope", JOBS, "/api/v2/openapi.json"])
def test_every_json_answer_is_neither_kept_nor_guessed_at(client: httpx2.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
