"""The real yt-dlp against a real server, which serves media well and badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from config.values import parse_networks
from tasks.errors import (
    DeadlineExceeded,
    LoginRequired,
    MemoryExceeded,
    NetworkError,
    NotMedia,
    SiteThrottled,
    TooLarge,
    ToolFailed,
    TooLong,
    Unavailable,
    UnsupportedUrl,
)
from tests.support.clips import probed
from tests.support.media import Video, cached_video, ffmpeg, frame_numbers
from tests.support.origin import Exchange, Origin, answers
from tests.support.origin.manifests import LADDER, make_dash, make_hls
from worker.egress.client import Egress
from worker.kinds.file_names import suffix_of
from worker.process.run import Finished, Limits, ProcessEnd, Stop, Stopped, run_process
from worker.ytdlp import Download, download, extract

MIB = 1024 * 1024
LIMITS = Limits(deadline_seconds=120, silence_seconds=60)
EGRESS = Egress(parse_networks("127.0.0.0/8"), Path("/"))


@pytest.fixture(scope="module", autouse=True)
def way_out() -> Iterator[None]:
    yield
    EGRESS.close()


@dataclass
class Fetcher:
    """Downloads into one folder, as a worker would, and keeps what was told on the way."""

    folder: Path
    stop: Stop = field(default_factory=Stop)
    finished: Finished | None = None
    progress: list[tuple[float | None, float | None, float | None]] = field(default_factory=list)

    def run(
        self, argv: list[str], limits: Limits, on_line: Callable[[str], None] | None
    ) -> Finished:
        self.finished = run_process(
            argv, folder=self.folder, limits=limits, stop=self.stop, on_line=on_line
        )
        return self.finished

    def extract(self, url: str, items: int = 0, limits: Limits = LIMITS) -> dict[str, Any]:
        with EGRESS.way(MIB) as way:
            return extract(
                url, playlist_items=items, folder=self.folder, run=self.run, limits=limits,
                proxy=way.url,
            )  # fmt: skip

    def download(
        self, url: str, quality: str = "best", container: str | None = None, **more: Any
    ) -> Download:
        options: dict[str, Any] = {
            "limits": LIMITS,
            "max_bytes": 8 * MIB,
            "max_duration_seconds": 600,
            "on_progress": lambda *told: self.progress.append(told),
            **more,
        }
        with EGRESS.way(8 * MIB) as way:
            return download(
                url, quality=quality, container=container, folder=self.folder, run=self.run,
                proxy=way.url, **options,
            )  # fmt: skip

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    folder = tmp_path / "job"
    folder.mkdir()
    return Fetcher(folder)


@pytest.fixture(scope="session")
def video(media_folder: Path) -> Path:
    return cached_video(media_folder)


@pytest.fixture(scope="session")
def hls(media_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hls(tmp_path_factory.mktemp("hls"), media_folder).parent


@pytest.fixture
def restarting_hls(media_folder: Path, tmp_path: Path) -> Path:
    """Three pieces, each with a clock of its own; the first, of seven seconds, has no sound."""
    long = cached_video(media_folder, Video(seconds=10))
    folder = tmp_path / "restarting"
    folder.mkdir()
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:7"]
    for number, (start, length, kept) in enumerate(((0, 7, ["-an"]), (7, 1, []), (8, 2, []))):
        name = f"{number}.ts"
        cut = ["-ss", str(start), "-t", str(length), "-i", str(long), "-c:v", "libx264"]
        ffmpeg(*cut, *kept, "-output_ts_offset", str(50 * (2 - number)), str(folder / name))
        lines += ["#EXT-X-DISCONTINUITY"] * (number > 0) + [f"#EXTINF:{length},", name]
    playlist = folder / "index.m3u8"
    playlist.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    return folder


@pytest.fixture(scope="session")
def dash(media_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dash(tmp_path_factory.mktemp("dash"), media_folder).parent


def streams(path: Path) -> dict[str, str]:
    """Kind and codec of the streams of a file."""
    with av.open(str(path)) as container:
        return {stream.type: stream.codec_context.name for stream in container.streams}


def height(path: Path) -> int:
    with av.open(str(path)) as container:
        return container.streams.video[0].height


# What is fetched well


def test_a_direct_file_arrives_whole(origin: Origin, fetcher: Fetcher, video: Path) -> None:
    got = fetcher.download(origin.add("/films/holiday.mp4", answers.file(video)))
    assert got.path == fetcher.folder / "media.mp4"
    assert got.path.read_bytes() == video.read_bytes()
    assert got.info["title"] == "holiday"
    assert got.info["webpage_url"] == origin.url("/films/holiday.mp4")
    assert got.warnings == ()
    fractions = [fraction for fraction, _, _ in fetcher.progress if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_signed_address_is_in_no_processs_arguments(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    seen: list[str] = []

    def answer(exchange: Exchange) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                seen.extend(word for word in process.cmdline() if "SIGNATURE" in word)
        answers.file(video)(exchange)

    url = origin.add("/video.mp4", answer) + "?token=SIGNATURE#t=1"
    assert fetcher.download(url).path.read_bytes() == video.read_bytes()
    assert origin.log()[0].target.endswith("?token=SIGNATURE")
    assert seen == []


def test_a_page_with_a_video_is_read_for_its_title(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    origin.add("/v.mp4", answers.file(video))
    page = origin.add("/watch", answers.page("A day at the sea", "/v.mp4", description="Waves."))
    info = fetcher.extract(page)
    assert info["title"] == "A day at the sea"
    assert info["description"] == "Waves."
    assert info["platform"] == "generic"
    assert [each["ext"] for each in info["formats"]] == ["mp4"]
    assert origin.requests("/v.mp4") == 0


def test_a_video_only_named_in_og_tags_is_found(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    origin.add("/v.mp4", answers.file(video))
    got = fetcher.download(origin.add("/og", answers.page("By og", "/v.mp4", og=True)))
    assert got.info["title"] == "By og"
    assert frame_numbers(got.path) == frame_numbers(video)


@pytest.mark.parametrize("path", ["/get.php", "/get", "/v.MP4", "/run.exe", "/a.mp4/"])
def test_a_video_may_have_any_name(
    origin: Origin, fetcher: Fetcher, video: Path, path: str
) -> None:
    got = fetcher.download(origin.add(path, answers.file(video, "video/mp4")))
    assert got.path.parent == fetcher.folder
    assert got.path.read_bytes() == video.read_bytes()
    assert suffix_of(probed(got.path), got.path.suffix) == ".mp4"


def test_hls_becomes_one_plain_file(origin: Origin, fetcher: Fetcher, hls: Path) -> None:
    origin.serve(hls, "/h/")
    got = fetcher.download(origin.url("/h/master.m3u8"))
    assert streams(got.path) == {"video": "h264", "audio": "aac"}
    assert frame_numbers(got.path) == list(range(75))
    assert height(got.path) == LADDER[0].height
    assert got.info["duration_seconds"] == 3
    assert not got.joined


def test_hls_whose_clock_begins_anew_keeps_its_order_and_its_late_sound(
    origin: Origin, fetcher: Fetcher, restarting_hls: Path
) -> None:
    origin.serve(restarting_hls, "/r/")
    got = fetcher.download(origin.url("/r/index.m3u8"))
    assert frame_numbers(got.path) == list(range(250))
    piece = restarting_hls / "1.ts"  # the second, of which the first sound and picture are told
    own, whole = _begin_of_sound(piece) - _shown(piece)[0], _begin_of_sound(got.path)
    assert whole - _shown(got.path)[175] == pytest.approx(own, abs=0.03)


def _begin_of_sound(path: Path) -> float:
    with av.open(str(path)) as container:
        (sound,) = container.streams.audio
        first = next(it for it in container.demux(sound) if it.size)
        return float(first.pts * first.time_base)


def _shown(path: Path) -> list[float]:
    """When each picture is shown."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        return sorted(float(it.pts * it.time_base) for it in packets if it.size)


def test_hls_of_mp4_pieces_becomes_one_plain_file(
    origin: Origin, fetcher: Fetcher, video: Path, tmp_path: Path
) -> None:
    playlist = tmp_path / "pieces" / "index.m3u8"
    playlist.parent.mkdir()
    form = ["-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"]
    ffmpeg("-i", str(video), "-c", "copy", *form, "-hls_segment_type", "fmp4", str(playlist))
    origin.serve(playlist.parent, "/h/")
    got = fetcher.download(origin.url("/h/index.m3u8"))
    assert streams(got.path) == {"video": "h264", "audio": "aac"}
    assert frame_numbers(got.path) == list(range(75))


def test_dash_joins_pictures_and_sound(origin: Origin, fetcher: Fetcher, dash: Path) -> None:
    origin.serve(dash, "/d/")
    got = fetcher.download(origin.url("/d/manifest.mpd"))
    assert streams(got.path) == {"video": "h264", "audio": "aac"}
    assert frame_numbers(got.path) == list(range(75))
    assert fetcher.progress[-1][0] == 1.0
    assert [path.name for path in fetcher.folder.glob("media*")] == ["media.mp4"]
    assert got.joined


def test_the_formats_of_dash_are_told_apart(origin: Origin, fetcher: Fetcher, dash: Path) -> None:
    origin.serve(dash, "/d/")
    formats = fetcher.extract(origin.url("/d/manifest.mpd"))["formats"]
    assert [(each["height"], each["video_codec"], each["audio_codec"]) for each in formats] == [
        (None, None, "mp4a.40.2"),
        (108, "avc1.64000b", None),
        (180, "avc1.64000c", None),
    ]
    assert all(each["bitrate"] > 10_000 for each in formats)


@pytest.mark.parametrize(("quality", "lines"), [("worst", 108), ("360p", 180), ("best", 180)])
def test_quality_chooses_the_height(
    origin: Origin, fetcher: Fetcher, hls: Path, quality: str, lines: int
) -> None:
    origin.serve(hls, "/h/")
    assert height(fetcher.download(origin.url("/h/master.m3u8"), quality).path) == lines


def test_a_source_with_nothing_small_enough_gives_its_smallest_and_says_so(
    origin: Origin, fetcher: Fetcher, media_folder: Path, tmp_path: Path
) -> None:
    ladder = (Video(width=640, height=480, seconds=1), Video(width=960, height=540, seconds=1))
    origin.serve(make_hls(tmp_path / "tall", media_folder, ladder).parent, "/t/")
    got = fetcher.download(origin.url("/t/master.m3u8"), "360p")
    assert height(got.path) == 480
    assert got.warnings == ("the source has nothing as small as 360p: this is 480p",)


@pytest.mark.parametrize(
    ("container", "name", "codec"),
    [
        (None, "media.m4a", "aac"),
        ("m4a", "media.m4a", "aac"),
        ("mp3", "media.mp3", "mp3float"),
        ("opus", "media.opus", "opus"),
        ("flac", "media.flac", "flac"),
        ("wav", "media.wav", "pcm_s16le"),
    ],
)
def test_audio_quality_gives_only_the_sound(
    origin: Origin, fetcher: Fetcher, video: Path, container: str | None, name: str, codec: str
) -> None:
    got = fetcher.download(origin.add("/v.mp4", answers.file(video)), "audio", container)
    assert got.path.name == name
    assert streams(got.path) == {"audio": codec}


def test_the_sound_of_a_php_address_and_of_dash_is_found(
    origin: Origin, fetcher: Fetcher, video: Path, dash: Path
) -> None:
    got = fetcher.download(origin.add("/get.php", answers.file(video, "video/mp4")), "audio")
    assert streams(got.path) == {"audio": "aac"}
    got.path.unlink()
    origin.serve(dash, "/d/")
    got = fetcher.download(origin.url("/d/manifest.mpd"), "audio")
    assert streams(got.path) == {"audio": "aac"}


@pytest.mark.parametrize("container", [None, "mkv", "webm"])
def test_one_file_stays_as_it_is_whatever_container_was_asked_for(
    origin: Origin, fetcher: Fetcher, video: Path, container: str | None
) -> None:
    """Who probes it knows which of its streams does not fit."""
    got = fetcher.download(origin.add("/v.mp4", answers.file(video)), container=container)
    assert got.path.name == "media.mp4"
    assert got.path.read_bytes() == video.read_bytes()


# Lists


def test_a_list_is_told_flat_and_no_longer_than_asked(origin: Origin, fetcher: Fetcher) -> None:
    links = [origin.url(f"/{number}.mp4") for number in range(5_000)]
    info = fetcher.extract(origin.add("/feed", answers.rss("Feed", links)), items=3)
    assert info["title"] == "Feed"
    assert [entry["title"] for entry in info["entries"]] == ["Item 1", "Item 2", "Item 3"]
    assert [entry["webpage_url"] for entry in info["entries"]] == links[:3]
    assert len(origin.log()) == origin.requests("/feed")


def test_a_list_without_items_asked_for_has_no_entries(origin: Origin, fetcher: Fetcher) -> None:
    feed = origin.add("/feed", answers.rss("Feed", [origin.url("/1.mp4")] * 9))
    assert fetcher.extract(feed)["entries"] == []


def test_an_empty_list_has_nothing_to_download(origin: Origin, fetcher: Fetcher) -> None:
    feed = origin.add("/feed", answers.rss("Feed", []))
    with pytest.raises(Unavailable):
        fetcher.download(feed)


def test_of_a_list_only_the_first_item_is_downloaded(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    origin.add("/1.mp4", answers.file(video))
    links = [origin.url(f"/{number}.mp4") for number in range(1, 5_001)]
    got = fetcher.download(origin.add("/feed", answers.rss("Feed", links)))
    assert got.path.read_bytes() == video.read_bytes()
    assert got.warnings == ("the address is a list of 5000 items: only the first was downloaded",)
    assert origin.requests("/2.mp4") == 0


# What servers say


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, Unavailable),
        (403, Unavailable),
        (401, LoginRequired),
        (429, SiteThrottled),
        (503, NetworkError),
    ],
)
def test_a_status_of_the_page_is_translated(
    origin: Origin, fetcher: Fetcher, status: int, error: type[Exception]
) -> None:
    url = origin.add("/watch", answers.status(status, {"Retry-After": "30"}))
    with pytest.raises(error) as caught:
        fetcher.extract(url)
    assert caught.value.detail["status"] == str(status)
    assert origin.requests("/watch") == 1


@pytest.mark.parametrize(("status", "error"), [(404, Unavailable), (429, SiteThrottled)])
def test_a_status_of_the_media_behind_a_good_page_is_translated(
    origin: Origin, fetcher: Fetcher, status: int, error: type[Exception]
) -> None:
    origin.add("/v.mp4", answers.status(status))
    with pytest.raises(error):
        fetcher.download(origin.add("/watch", answers.page("A page", "/v.mp4")))


def test_the_servers_own_words_cannot_choose_the_error(origin: Origin, fetcher: Fetcher) -> None:
    def answer(exchange: Any) -> None:
        exchange.send_response(404, "[Errno 28] No space left on device")
        exchange.send_header("Content-Length", "0")
        exchange.end_headers()

    with pytest.raises(Unavailable):
        fetcher.extract(origin.add("/watch", answer))


def test_a_server_that_fails_twice_is_asked_again(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    broken = answers.status(500)
    origin.add("/v.mp4", answers.in_turn(broken, broken, answers.file(video)))
    got = fetcher.download(origin.add("/watch", answers.page("A page", "/v.mp4")))
    assert got.path.read_bytes() == video.read_bytes()
    assert origin.requests("/v.mp4") == 3


def test_an_unknown_host_and_a_closed_port_are_network_errors(fetcher: Fetcher) -> None:
    for url in ("http://127.0.0.1:9/v.mp4", "http://no-such-host.invalid/v.mp4"):
        with pytest.raises(NetworkError):
            fetcher.extract(url)


def test_redirects_are_followed(origin: Origin, fetcher: Fetcher, video: Path) -> None:
    origin.add("/v.mp4", answers.file(video))
    origin.add("/b", answers.redirect("/v.mp4", 307))
    got = fetcher.download(origin.add("/a", answers.redirect("/b")))
    assert got.path.read_bytes() == video.read_bytes()


def test_redirects_in_a_circle_end(origin: Origin, fetcher: Fetcher) -> None:
    origin.add("/b", answers.redirect("/a"))
    with pytest.raises(Unavailable):
        fetcher.extract(origin.add("/a", answers.redirect("/b")))


def test_a_redirect_that_leads_on_for_ever_ends(origin: Origin, fetcher: Fetcher) -> None:
    origin.add("/on/", answers.treadmill("/on/"))
    with pytest.raises(Unavailable, match="without end"):
        fetcher.extract(origin.url("/on/0"))
    assert len(origin.log()) < 100


def test_a_page_without_video_is_an_unsupported_url(origin: Origin, fetcher: Fetcher) -> None:
    with pytest.raises(UnsupportedUrl):
        fetcher.extract(origin.add("/text", answers.content(b"<!DOCTYPE html>no", "text/html")))


@pytest.mark.parametrize(
    "said",
    [
        "std::bad_alloc",
        "rate-limit/a?b=[Errno%2028]",
        "try%20again%20later",
        "x%0AERROR:%20%5BErrno%2012%5D",
        "HTTP%20Error%20429",
        "?to=/try+again+later%0AMemoryError",
        "ERROR:",
    ],
)
def test_an_address_puts_no_words_into_the_tools_mouth(
    origin: Origin, fetcher: Fetcher, said: str
) -> None:
    origin.add("/say/", answers.content(b"<!DOCTYPE html>no", "text/html"))
    with pytest.raises(UnsupportedUrl):
        fetcher.extract(origin.url(f"/say/{said}"))
    origin.add("/gone/", answers.status(404))
    with pytest.raises(Unavailable) as caught:
        fetcher.extract(origin.url(f"/gone/{said}"))
    assert caught.value.detail["status"] == "404"


# Limits


def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_stored(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    with pytest.raises(TooLarge):
        fetcher.download(origin.add("/v.mp4", answers.file(video)), max_bytes=100_000)
    assert list(fetcher.folder.glob("media*")) == []


def test_a_file_of_exactly_the_limit_is_kept(origin: Origin, fetcher: Fetcher, video: Path) -> None:
    size = video.stat().st_size
    got = fetcher.download(origin.add("/v.mp4", answers.file(video)), max_bytes=size)
    assert got.path.stat().st_size == size


def test_an_endless_body_is_too_large_and_the_disk_stays_bounded(
    origin: Origin, fetcher: Fetcher
) -> None:
    with pytest.raises(TooLarge):
        fetcher.download(origin.add("/v.mp4", answers.endless()), max_bytes=2 * MIB)
    assert fetcher.stored_bytes() < 3 * MIB


def test_an_endless_page_ends_by_memory(origin: Origin, fetcher: Fetcher) -> None:
    page = origin.add("/watch", answers.endless("text/html", b"<!DOCTYPE html><html>"))
    limits = Limits(deadline_seconds=60, memory_bytes=300 * MIB, data_bytes=400 * MIB)
    with pytest.raises(MemoryExceeded):
        fetcher.extract(page, limits=limits)


def test_hls_over_the_limit_is_too_large(origin: Origin, fetcher: Fetcher, hls: Path) -> None:
    origin.serve(hls, "/h/")
    with pytest.raises(TooLarge):
        fetcher.download(origin.url("/h/master.m3u8"), max_bytes=100_000)
    assert fetcher.stored_bytes() < 300_000


def test_two_streams_that_fit_alone_but_not_joined_are_too_large(
    origin: Origin, fetcher: Fetcher, dash: Path
) -> None:
    origin.serve(dash, "/d/")
    with pytest.raises(TooLarge):
        fetcher.download(origin.url("/d/manifest.mpd"), max_bytes=140_000)


def test_a_promise_longer_than_the_body_is_a_network_error(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    url = origin.add("/v.mp4", answers.lying(video, video.stat().st_size + 1_000))
    with pytest.raises(NetworkError):
        fetcher.download(url)
    assert not (fetcher.folder / "media.mp4").exists()


def test_hls_with_a_missing_piece_is_not_delivered_with_a_hole(
    origin: Origin, fetcher: Fetcher, hls: Path
) -> None:
    origin.serve(hls, "/h/")
    origin.add("/h/180p/segment001.ts", answers.status(404))
    with pytest.raises(Unavailable):
        fetcher.download(origin.url("/h/180p/index.m3u8"))


def test_a_source_longer_than_allowed_is_too_long(
    origin: Origin, fetcher: Fetcher, hls: Path
) -> None:
    origin.serve(hls, "/h/")
    with pytest.raises(TooLong):
        fetcher.download(origin.url("/h/master.m3u8"), max_duration_seconds=2)
    assert origin.requests("/h/180p/segment000.ts") == 0


def test_a_live_stream_is_told_as_live_and_not_downloaded(
    origin: Origin, fetcher: Fetcher, hls: Path
) -> None:
    origin.serve(hls, "/h/")
    live = origin.add("/live.m3u8", answers.live_hls("/h/180p/segment000.ts"))
    assert fetcher.extract(live)["is_live"] is True
    with pytest.raises(TooLong):
        fetcher.download(live)
    assert origin.requests("/h/180p/segment000.ts") == 0


def test_live_dash_is_not_downloaded(origin: Origin, fetcher: Fetcher, dash: Path) -> None:
    origin.serve(dash, "/d/")
    manifest = (dash / "manifest.mpd").read_text().replace('type="static"', 'type="dynamic"')
    url = origin.add("/d/live.mpd", answers.content(manifest.encode(), "application/dash+xml"))
    with pytest.raises(TooLong):
        fetcher.download(url)


@pytest.mark.parametrize("answer", [answers.silence(), answers.drip(), answers.unanswered()])
def test_a_source_that_falls_silent_is_given_up(
    origin: Origin, fetcher: Fetcher, answer: answers.Answer
) -> None:
    limits = Limits(deadline_seconds=30, silence_seconds=2)
    with pytest.raises(NetworkError):
        fetcher.download(origin.add("/v.mp4", answer), limits=limits)
    assert fetcher.finished
    assert fetcher.finished.end is ProcessEnd.STALLED


def test_a_source_that_is_only_slow_ends_at_the_deadline(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    url = origin.add("/v.mp4", answers.slow(video, 5_000))
    limits = Limits(deadline_seconds=8, silence_seconds=40)
    with pytest.raises(DeadlineExceeded):
        fetcher.download(url, limits=limits)
    assert any(speed for _, speed, _ in fetcher.progress)


def test_a_cancelled_download_ends_at_once_with_all_its_processes(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    url = origin.add("/v.mp4", answers.slow(video, 5_000))
    threading.Thread(target=_cancel_when_running, args=(origin, fetcher.stop)).start()
    with pytest.raises(Stopped) as caught:
        fetcher.download(url)
    assert caught.value.end is ProcessEnd.CANCELLED
    assert fetcher.finished
    assert fetcher.finished.seconds < 15
    assert _processes_in(fetcher.folder) == []


def _cancel_when_running(origin: Origin, stop: Stop) -> None:
    """Once the media itself has begun to flow (the first request only looks)."""
    give_up = time.monotonic() + 20
    while origin.requests("/v.mp4") < 2 and time.monotonic() < give_up:
        time.sleep(0.05)
    stop.request(ProcessEnd.CANCELLED)


def _processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue  # gone, or not ours to look at
    return found


# Hostile sources


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("x" * 5_000, "x" * 5_000),
        ("x" * 9_000, "x" * 5_000),
        ("😀 naïve ‮ltr", "😀 naïve ‮ltr"),
        ('<script>alert("1")</script>', '<script>alert("1")</script>'),
        ('" \r\nX-Evil: y', '" X-Evil: y'),
        ("a\0b", "a�b"),
        (
            "a\n[download] File is larger than max-filesize (2 bytes > 1 bytes)",
            "a [download] File is larger than max-filesize (2 bytes > 1 bytes)",
        ),
        ("../../etc/passwd %(id)s --exec", "../../etc/passwd %(id)s --exec"),
    ],
    ids=["long", "too-long", "unicode", "script", "crlf", "nul", "imitation", "path"],
)
def test_a_hostile_title_is_only_text(
    origin: Origin, fetcher: Fetcher, video: Path, title: str, expected: str
) -> None:
    origin.add("/v.mp4", answers.file(video))
    got = fetcher.download(origin.add("/watch", answers.page(title, "/v.mp4")))
    json.dumps(got.info, ensure_ascii=False, allow_nan=False).encode()
    assert got.info["title"] == expected
    left = {path.name for path in fetcher.folder.iterdir()}
    assert left == {"media.mp4", "result.jsonl", "url", "proxy.conf"}


@pytest.mark.parametrize(
    "url",
    [
        "--exec=touch /tmp/p",
        "-oProxyCommand=x",
        "-",
        "file:///etc/passwd",
        "ytsearch:cats",
        "data:text/html,x",
        "ftp://127.0.0.1/v.mp4",
        "http:///v.mp4",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\n--exec",
        "http://127.0.0.1/v#__youtubedl_smuggle=%7B%22referer%22%3A%22x%22%7D",
    ],
)
def test_what_is_no_web_address_never_reaches_the_tool(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(UnsupportedUrl):
        fetcher.extract(url)
    with pytest.raises(UnsupportedUrl):
        fetcher.download(url)
    assert fetcher.finished is None


@pytest.mark.parametrize("name", ["../../../evil", "/evil", "x" * 400, "a+b %(id)s", "😀"])
def test_the_names_in_a_manifest_are_not_names_of_files_elsewhere(
    origin: Origin, fetcher: Fetcher, dash: Path, tmp_path: Path, name: str
) -> None:
    manifest = (dash / "manifest.mpd").read_text()
    for number in ("0", "1", "2"):
        begin = manifest.index(f'<Representation id="{number}"')
        end = manifest.index("</Representation>", begin)
        piece = manifest[begin:end].replace("$RepresentationID$", number)
        piece = piece.replace(f'id="{number}"', f'id="{name}{number}"', 1)
        manifest = manifest[:begin] + piece + manifest[end:]
    origin.serve(dash, "/d/")
    url = origin.add("/d/odd.mpd", answers.content(manifest.encode(), "application/dash+xml"))
    try:
        got = fetcher.download(url)
    except ToolFailed:
        assert len(name) > 255  # longer than a file system takes
    else:
        assert frame_numbers(got.path) == list(range(75))
    assert {path.name for path in tmp_path.iterdir()} == {"job"}
    assert not Path("/evil").exists()


def test_text_that_is_called_a_video_is_not_read_by_ffmpeg_as_a_playlist(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    secret = fetcher.folder / "secret.mp4"
    secret.write_bytes(video.read_bytes())
    listing = b"ffconcat version 1.0\nfile secret.mp4\n"
    url = origin.add("/list.avi", answers.content(listing, "video/x-msvideo"))
    got = fetcher.download(url)
    assert got.path.read_bytes() == listing
    with pytest.raises(NotMedia):
        probed(got.path)


@pytest.mark.parametrize("quality", ["best", "audio"])
def test_junk_is_not_media(origin: Origin, fetcher: Fetcher, quality: str) -> None:
    url = origin.add("/v.avi", answers.content(b"junk" * 1_000, "video/x-msvideo"))
    with pytest.raises(NotMedia):
        probed(fetcher.download(url, quality).path)


def test_an_empty_body_is_not_media(origin: Origin, fetcher: Fetcher) -> None:
    with pytest.raises(NotMedia):
        fetcher.download(origin.add("/v.mp4", answers.content(b"", "video/mp4")))


def test_a_manifest_cannot_send_ffmpeg_to_the_network(origin: Origin, fetcher: Fetcher) -> None:
    """A method that yt-dlp does not decrypt makes it hand the address to FFmpeg."""
    lines = [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:2",
        f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{origin.url("/canary/key")}"',
        "#EXTINF:1,",
        origin.url("/canary/piece.ts"),
        "#EXT-X-ENDLIST",
    ]
    origin.add("/canary/", answers.status(404))
    url = origin.add("/v.m3u8", answers.content("\n".join(lines).encode(), "application/x-mpegurl"))
    with pytest.raises(Exception, match="source"):
        fetcher.download(url)
    assert {seen.path for seen in origin.log()} == {"/v.m3u8"}
    assert not any("Lavf" in seen.headers.get("user-agent", "") for seen in origin.log())


def test_settings_plugins_and_modules_in_the_folder_are_not_read(
    origin: Origin, fetcher: Fetcher, video: Path
) -> None:
    for name in ("yt-dlp.conf", ".config/yt-dlp/config", ".yt-dlp/config", ".config/yt-dlp.conf"):
        path = fetcher.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("--exec 'touch executed'\n")
    trap = "from pathlib import Path\nPath('executed').touch()\n"
    for place in (".", ".config/yt-dlp/plugins/x", ".yt-dlp/plugins/x", "yt-dlp-plugins/x"):
        plugin = fetcher.folder / place / "yt_dlp_plugins" / "extractor" / "trap.py"
        plugin.parent.mkdir(parents=True)
        plugin.write_text(trap)
    for name in ("yt_dlp.py", "json.py", "sitecustomize.py"):
        (fetcher.folder / name).write_text(trap)
    got = fetcher.download(origin.add("/v.mp4", answers.file(video)))
    assert got.path.is_file()
    assert not (fetcher.folder / "executed").exists()


def test_errors_tell_no_paths_and_no_keys(origin: Origin, fetcher: Fetcher) -> None:
    url = origin.add("/text", answers.content(b"<!DOCTYPE html>no", "text/html"))
    with pytest.raises(UnsupportedUrl) as caught:
        fetcher.extract(f"{url}?token=hunter2")
    assert caught.value.detail["stderr"] == f"Unsupported URL: {url}?…"


@pytest.mark.parametrize(("container", "codec"), [(None, "mp3float"), ("m4a", "aac")])
def test_a_sound_only_source_is_converted_only_when_asked(
    origin: Origin,
    fetcher: Fetcher,
    video: Path,
    tmp_path: Path,
    container: str | None,
    codec: str,
) -> None:
    sound = tmp_path / "sound.mp3"
    ffmpeg("-i", str(video), "-vn", str(sound))
    got = fetcher.download(origin.add("/s.mp3", answers.file(sound)), "audio", container)
    assert streams(got.path) == {"audio": codec}
    assert (got.path.read_bytes() == sound.read_bytes()) is (container is None)
