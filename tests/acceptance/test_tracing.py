"""A request, its jobs and their tools are one trace; without the setting nothing is even loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.processes import eventually
from tests.support.system import System

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUEST = "POST /api/v2/jobs"


def test_a_trace_leads_from_the_request_over_its_jobs_to_their_tools(
    tmp_path: Path, origin: Origin, media_folder: Path
) -> None:
    url = origin.add("/secret-name.mp4", answers.file(cached_video(media_folder, Video())))
    with Collector() as seen, System(tmp_path / "system", otlp_endpoint=seen.url) as system:
        body = {"kind": "clip", "source": {"url": url}, "start": 0.5, "end": 1.5}
        answer = system.client.post("/api/v2/jobs", json=body, headers={"traceparent": CALLER})
        job = system.until(answer.json()["id"])
        assert job["state"] == "succeeded", job["error"]
        wanted = {REQUEST, "job download", "job clip", "yt-dlp", "probe", "cut"}
        assert eventually(lambda: {span.name for span in seen.spans} >= wanted, 20), seen.spans
        gone = system.submit(kind="extract", source={"url": origin.url("/gone.mp4")})
        failure = system.until(gone["id"])["error"]
        assert eventually(lambda: any(span.name == "job extract" for span in seen.spans), 20)

    request = next(span for span in seen.spans if span.name == REQUEST)
    assert (request.trace_id, request.parent_id) == tuple(CALLER.split("-")[1:3])
    assert request.attributes["http.response.status_code"] == 202
    clip, download = seen.named("job clip"), seen.named("job download")
    assert clip.parent_id == download.parent_id == request.span_id
    assert clip.attributes["clipmill.job.id"] == job["id"]
    assert (request.service, clip.service) == ("clipmill-api", "clipmill-worker")
    cut = seen.named("cut")
    assert cut.parent_id == clip.span_id
    assert cut.attributes["process.exit.code"] == 0
    assert cut.attributes["clipmill.process.peak_bytes"] > 0
    fetch = next(span for span in seen.spans if span.parent_id == download.span_id)
    assert fetch.trace_id == cut.trace_id == request.trace_id
    failed = seen.named("job extract")
    assert failed.failed
    assert failed.attributes["error.type"] == failure["code"]
    # Neither what was fetched nor where it lay on this machine is anybody else's business.
    assert b"secret-name" not in seen.raw
    assert str(tmp_path).encode() not in seen.raw


def test_a_collector_that_is_gone_holds_up_neither_jobs_nor_the_end(
    tmp_path: Path, origin: Origin, media_folder: Path
) -> None:
    url = origin.add("/video.mp4", answers.file(cached_video(media_folder, Video())))
    with System(tmp_path / "system", otlp_endpoint="http://127.0.0.1:9") as system:
        job = system.until(system.submit(kind="extract", source={"url": url})["id"])
        assert job["state"] == "succeeded"
        (worker,) = system.workers
        worker.terminate()
        assert worker.wait(30) == 0


@pytest.mark.parametrize("module", ["web.app", "worker.app"])
def test_without_the_setting_no_process_loads_it(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in sys.modules if 'telemetry' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr
