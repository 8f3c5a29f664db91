"""The command line against the real system, as a script would use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clipmill.cli import main
from clipmill.client import Client
from tests.support.media import Video, cached_video, frame_numbers
from tests.support.origin import Origin, answers
from tests.support.system import System

TEN_SECONDS = Video(seconds=10.0, keyframe_seconds=2.0)


@pytest.fixture
def source(origin: Origin, media_folder: Path) -> str:
    return origin.add("/video.mp4", answers.file(cached_video(media_folder, TEN_SECONDS)))


@pytest.fixture
def missing(origin: Origin) -> str:
    """A source that every job fails with."""
    return origin.add("/missing.mp4", answers.status(404))


@pytest.fixture
def run(system: System, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLIPMILL_API_URL", system.url)

    def invoke(*words: object) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words])

    return invoke


def test_a_clip_is_submitted_shown_and_fetched(run, source: str, tmp_path: Path) -> None:
    words = ("submit", "clip", source, "--start", "2", "--end", "00:00:04.000", "--wait", "--json")
    done = run(*words)
    assert done.exit_code == 0, done.output
    job = json.loads(done.stdout)
    assert job["state"] == "succeeded"
    fetched = run("fetch", job["id"], "-o", tmp_path, "--json")
    (path,) = json.loads(fetched.stdout)
    assert frame_numbers(Path(path)) == list(range(50, 100))


def test_people_see_lines_and_the_id(run, source: str) -> None:
    done = run("submit", "extract", source, "--metadata", "who=me", "--wait")
    assert done.exit_code == 0, done.output
    assert "succeeded" in done.stdout
    assert "extract  1  succeeded" in done.stderr
    job_id = done.stdout.split()[0]
    assert json.loads(run("jobs", job_id, "--json").stdout)["metadata"] == {"who": "me"}


def test_a_failed_job_is_exit_status_one_with_its_reason(run, missing: str) -> None:
    job_id = run("submit", "download", missing).stdout.strip()
    watched = run("watch", job_id)
    assert watched.exit_code == 1
    assert "unavailable" in watched.stdout
    fetched = run("fetch", job_id)
    assert fetched.exit_code == 1
    assert "no files" in fetched.output


def test_a_batch_is_read_from_a_file_and_fetched_whole(run, source: str, tmp_path: Path) -> None:
    batch = {
        "defaults": {"kind": "clip", "source": {"url": source}, "mode": "encode"},
        "jobs": [{"start": 0, "end": 2}, {"start": 4, "end": 6}],
    }
    (tmp_path / "batch.json").write_text(json.dumps(batch))
    done = run("submit", "batch", tmp_path / "batch.json", "--wait", "--json")
    assert done.exit_code == 0, done.output
    batch_id = json.loads(done.stdout)["id"]
    paths = run("fetch", batch_id, "-o", tmp_path / "out").stdout.splitlines()
    assert [len(frame_numbers(Path(path))) for path in paths] == [50, 50]
    listed = json.loads(run("jobs", "--batch", batch_id, "--json").stdout)
    assert {job["id"] for job in listed} == {job["id"] for job in json.loads(done.stdout)["jobs"]}


def test_several_clips_of_a_file_of_ones_own_are_one_line(
    run, media_folder: Path, tmp_path: Path
) -> None:
    film = cached_video(media_folder, Video(seconds=8.0))
    ranges = ("--clip", "0:01-0:03", "--clip", "5+1", "--clip", "7-", "--mode", "encode")
    done = run("submit", film, *ranges, "--wait", "-o", tmp_path / "clips")
    assert done.exit_code == 0, done.output
    files = sorted((tmp_path / "clips").iterdir())
    assert [len(frame_numbers(path)) for path in files] == [50, 25, 25]
    assert [line for line in done.stdout.splitlines() if line.endswith(files[0].name)]
    one = run("submit", "clip", film, "--start", "1", "--end", "2", "-o", tmp_path / "one")
    assert one.exit_code == 0, one.output
    assert len(list((tmp_path / "one").iterdir())) == 1


@pytest.mark.parametrize("wrong", ["1:00", "-5", "1:00-1:15-2", "+5", ""])
def test_a_clip_that_is_no_range_is_wrong_usage(run, source: str, wrong: str) -> None:
    refused = run("submit", source, "--clip", wrong)
    assert refused.exit_code == 2
    assert "is not a range" in refused.output


def test_a_batch_with_one_bad_job_is_exit_status_one(
    run, source: str, missing: str, tmp_path: Path
) -> None:
    jobs = [{"kind": "extract", "source": {"url": url}} for url in (source, missing)]
    (tmp_path / "batch.json").write_text(json.dumps(jobs))
    done = run("submit", "batch", tmp_path / "batch.json", "--wait")
    assert done.exit_code == 1
    assert "partial" in done.stdout


def test_a_refused_request_says_where_it_is_wrong(run, source: str) -> None:
    refused = run("submit", "clip", source, "--start", "5", "--end", "4")
    assert refused.exit_code == 1
    assert "/end" in refused.output


def test_a_running_job_and_a_batch_are_cancelled(run, origin: Origin, tmp_path: Path) -> None:
    silent = origin.add("/silent.mp4", answers.silence())
    job_id = run("submit", "download", silent).stdout.strip()
    jobs = [{"kind": "clip", "source": {"url": silent}, "start": 0, "end": 1}]
    (tmp_path / "batch.json").write_text(json.dumps(jobs))
    batch_id = run("submit", "batch", tmp_path / "batch.json").stdout.strip()
    cancelled = run("cancel", job_id, batch_id)
    assert cancelled.exit_code == 0, cancelled.output
    assert run("watch", job_id).exit_code == 1
    assert "cancelled" in run("watch", batch_id).stdout
    assert run("cancel", job_id).exit_code == 1


def test_one_that_cannot_be_cancelled_does_not_keep_the_others(run, origin: Origin) -> None:
    silent = origin.add("/silent.mp4", answers.silence())
    ids = [run("submit", "download", f"{silent}?{n}").stdout.strip() for n in range(4)]
    assert run("cancel", ids[0]).exit_code == 0
    assert "cancelled" in run("watch", ids[0]).stdout
    two = run("cancel", ids[0], "nothing", ids[1])
    assert two.exit_code == 1
    assert [line.split()[0] for line in two.stdout.splitlines()] == [ids[1]]
    assert f"{ids[0]}: " in two.stderr
    assert "nothing: " in two.stderr
    rest = run("cancel", ids[0], *ids[2:], "--json")
    assert rest.exit_code == 1
    first, *others = json.loads(rest.stdout)
    assert (first["id"], first["refused"]["code"]) == (ids[0], "job_already_final")
    assert [job["id"] for job in others] == ids[2:]
    for job_id in ids:
        assert "cancelled" in run("watch", job_id).stdout


def test_one_file_that_is_no_longer_kept_does_not_keep_the_others(
    run, system: System, source: str, tmp_path: Path
) -> None:
    clips = [{"start": start, "end": start + 1} for start in (0, 2, 4)]
    batch = {"defaults": {"kind": "clip", "source": {"url": source}, "mode": "encode"}}
    (tmp_path / "batch.json").write_text(json.dumps(batch | {"jobs": clips}))
    made = run("submit", "batch", tmp_path / "batch.json", "--wait", "--json")
    first = json.loads(made.stdout)["jobs"][0]
    (artifact,) = first["result"]["artifacts"]
    (kept,) = (system.data / "artifacts").glob(f"*/{artifact['id']}.*")
    kept.unlink()
    done = run("fetch", json.loads(made.stdout)["id"], "-o", tmp_path / "out", "--json")
    assert done.exit_code == 1
    assert [Path(path).name[:2] for path in json.loads(done.stdout)] == ["2-", "3-"]
    assert all(Path(path).is_file() for path in json.loads(done.stdout))
    assert first["id"] in done.stderr


def test_an_unknown_id_is_exit_status_one(run) -> None:
    for command in ("watch", "fetch", "cancel"):
        result = run(command, "nothing")
        assert result.exit_code == 1
        assert "404" in result.output


def test_the_client_sees_every_state_of_a_job_on_its_way(system: System, source: str) -> None:
    with Client(system.url) as client:
        job = client.submit("download", source)
        states = [seen.state for seen in client.events(job.id)]
        assert states[-1] == "succeeded"
        assert client.wait(job.id, check=True).artifacts[0].size_bytes > 0
        client.delete(job.id)
        assert job.id not in {listed.id for listed in client.jobs(kind="download")}


def test_a_repeated_submission_is_one_job(system: System, source: str) -> None:
    with Client(system.url) as client:
        ids = {client.submit("extract", source, idempotency_key="k1").id for _ in range(3)}
        assert len(ids) == 1
        assert len({client.submit("extract", source).id for _ in range(2)}) == 2


def test_a_file_of_this_machine_is_sent_and_cut(
    run: Callable[..., Result], media_folder: Path, tmp_path: Path
) -> None:
    film = cached_video(media_folder, TEN_SECONDS)
    made = run("submit", "clip", film, "--start", "0:02", "--end", "4", "--wait", "--json")
    assert made.exit_code == 0, made.output
    job = json.loads(made.stdout)
    assert job["state"] == "succeeded"
    assert job["result"]["frames"] == 50
    text = tmp_path / "notes.mp4"
    text.write_text("no film")
    refused = run("submit", "clip", text, "--start", "0", "--end", "1")
    assert refused.exit_code == 1
    assert "not_media" in refused.output
    assert len(refused.output.strip().splitlines()) == 1
