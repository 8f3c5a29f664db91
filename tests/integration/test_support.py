"""The helpers of the tests keep their own promises."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.support.media import Video, cached_video, frame_numbers
from tests.support.origin import Origin, answers
from tests.support.origin.manifests import make_dash, make_hls


@pytest.mark.parametrize(
    "wanted",
    [
        Video(),
        Video(width=192, height=108, video="libvpx", audio="libvorbis", suffix=".webm"),
        Video(seconds=1, fps="30000/1001", pix_fmt="yuv420p10le", video="libx265"),
    ],
    ids=["h264", "vp8", "hevc-10bit-29.97"],
)
def test_every_frame_of_a_made_video_tells_its_number(media_folder: Path, wanted: Video) -> None:
    numbers = frame_numbers(cached_video(media_folder, wanted))
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= wanted.seconds * 25


def test_a_video_of_the_same_kind_is_made_once(media_folder: Path) -> None:
    first = cached_video(media_folder)
    made_at = first.stat().st_mtime_ns
    assert cached_video(media_folder) == first
    assert first.stat().st_mtime_ns == made_at


def test_the_origin_serves_ranges_and_tags(origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "ten.bin"
    path.write_bytes(b"0123456789")
    url = origin.add("/ten", answers.file(path))
    whole = httpx2.get(url)
    tag = whole.headers["ETag"]
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert httpx2.get(url, headers={"Range": "bytes=2-4"}).content == b"234"
    assert httpx2.get(url, headers={"Range": "bytes=-3"}).content == b"789"
    assert (
        httpx2.get(url, headers={"Range": "bytes=8-99"}).headers["Content-Range"] == "bytes 8-9/10"
    )
    assert httpx2.get(url, headers={"Range": "bytes=10-"}).status_code == 416
    assert httpx2.get(url, headers={"Range": "bytes=2-4", "If-Range": '"other"'}).status_code == 200
    assert httpx2.get(url, headers={"If-None-Match": tag}).status_code == 304
    head = httpx2.head(url)
    assert (head.headers["Content-Length"], head.content) == ("10", b"")
    assert (origin.requests("/ten"), origin.requests("/ten", "HEAD")) == (8, 1)


def test_the_origin_serves_nothing_outside_its_folder(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "secret").write_text("no")
    origin.serve(tmp_path / "open")
    assert httpx2.get(origin.url("/%2e%2e/secret")).status_code == 404
    assert httpx2.get(origin.url("/../secret")).status_code == 404


def test_answers_can_come_in_turn(origin: Origin) -> None:
    url = origin.add(
        "/x",
        answers.in_turn(answers.status(500), answers.status(500), answers.content(b"ok", "a/b")),
    )
    assert [httpx2.get(url).status_code for _ in range(4)] == [500, 500, 200, 200]


def test_an_origin_closes_under_answers_that_never_end() -> None:
    with Origin() as origin:
        client = httpx2.Client(timeout=5)
        with client.stream("GET", origin.add("/s", answers.silence())) as response:
            assert response.status_code == 200
    assert origin.closing.is_set()
    client.close()


def test_manifests_name_files_that_are_there(media_folder: Path, tmp_path: Path) -> None:
    hls = make_hls(tmp_path / "hls", media_folder)
    rungs = [line for line in hls.read_text().splitlines() if line.endswith(".m3u8")]
    assert rungs == ["180p/index.m3u8", "108p/index.m3u8"]
    assert all((hls.parent / rung).is_file() for rung in rungs)
    dash = make_dash(tmp_path / "dash", media_folder)
    assert dash.read_text().count("<Representation") == 3
