"""How yt-dlp is asked, and how its words are read."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from yt_dlp.utils._utils import _UnsafeExtensionError

from tasks.errors import (
    DeadlineExceeded,
    JobError,
    LoginRequired,
    MemoryExceeded,
    NetworkError,
    NoSuchStream,
    NotMedia,
    SiteThrottled,
    StorageFull,
    StorageUnavailable,
    TooLarge,
    ToolFailed,
    TooLong,
    Unavailable,
    UnsupportedUrl,
)
from tasks.specs import DOWNLOAD_CONTAINERS, DOWNLOAD_SOUND_CONTAINERS, QUALITIES
from worker.process.run import Finished, Limits, ProcessEnd, Stopped
from worker.ytdlp import Download, download, extract, to_info
from worker.ytdlp.command import (
    KNOWN_EXTENSIONS,
    PROGRESS,
    checked,
    download_argv,
    extract_argv,
)
from worker.ytdlp.failures import failure_of, public_words
from worker.ytdlp.notes import read_notes
from worker.ytdlp.output import MAX_REDIRECTS, OutputReader

URL = "https://example.com/watch?v=1"
FORBIDDEN = ("exec", "netrc", "aria2c", "write-link", "plugin-dirs=", "enable-file-urls")

# The command


def download_command(quality: str = "best", container: str | None = None) -> list[str]:
    return download_argv(quality, container, 1_000, 60.5)


@pytest.mark.parametrize("argv", [extract_argv(0), extract_argv(5), download_command()], ids=str)
def test_every_command_reads_no_settings_and_takes_the_url_from_a_file(argv: list[str]) -> None:
    assert argv[:4] == [sys.executable, "-I", "-m", "yt_dlp"]
    assert {"--ignore-config", "--no-plugin-dirs", "--no-remote-components"} <= set(argv)
    assert argv[-2:] == ["--batch-file", "url"]
    options = [word for word in argv[:-1] if word.startswith("--")]
    assert not [word for word in options if any(name in word for name in FORBIDDEN)]


def test_a_list_is_asked_for_no_more_items_than_wanted() -> None:
    assert _after("--playlist-items", extract_argv(7)) == ":7"
    assert _after("--playlist-items", extract_argv(0)) == "0"
    assert _after("--playlist-items", download_command()) == "1"


def containers_of(quality: str) -> tuple[str | None, ...]:
    named = DOWNLOAD_SOUND_CONTAINERS if quality == "audio" else DOWNLOAD_CONTAINERS
    return (None, *named)


@pytest.mark.parametrize(
    ("quality", "container"),
    [(quality, container) for quality in QUALITIES for container in containers_of(quality)],
)
def test_every_quality_and_container_has_a_selection(quality: str, container: str | None) -> None:
    argv = download_command(quality, container)
    wanted = _after("--format", argv)
    assert all("[protocol~=" in part for part in re.split(r"[+/](?=[bw])", wanted))
    if quality == "audio":
        assert _after("--audio-format", argv) == (container or "best")
    else:
        assert _after("--merge-output-format", argv).endswith("/mkv")
        assert "--remux-video" not in argv
    if quality.endswith("p"):
        assert f"res:{quality[:-1]}" in _after("--format-sort", argv)


def test_known_extensions_are_all_safe_for_yt_dlp() -> None:
    """One that is not would end in an error instead of a file."""
    assert set(KNOWN_EXTENSIONS) <= set(_UnsafeExtensionError.ALLOWED_EXTENSIONS)


def test_a_limit_on_the_duration_is_a_whole_number_that_is_not_too_small() -> None:
    assert _after("--match-filters", download_command()).endswith("duration<=?61")
    long = download_argv("best", "mp4", 1_000, 1e6)
    assert _after("--match-filters", long).endswith("duration<=?1000000")


@pytest.mark.parametrize("url", ["HTTPS://EXAMPLE.COM/x", "http://[::1]/x", "http://bücher.de/ü"])
def test_web_addresses_pass(url: str) -> None:
    assert checked(url) == url


@pytest.mark.parametrize("url", ["", "-", "--exec", "http:/x", "http://", "https:// x", "x://y"])
def test_other_addresses_do_not(url: str) -> None:
    with pytest.raises(UnsupportedUrl):
        checked(url)


def _after(option: str, argv: list[str]) -> str:
    return argv[argv.index(option) + 1]


# Failures


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("[youtube] x: Video unavailable", Unavailable),
        ("[youtube] x: Private video. Sign in if you've been granted access", Unavailable),
        ("[youtube] x: This video has been removed by the uploader", Unavailable),
        ("x: The uploader has not made this video available in your country", Unavailable),
        (
            "[x] 1: This video is not available from your location due to geo restriction",
            Unavailable,
        ),
        ("[youtube] x: Sign in to confirm your age", LoginRequired),
        ("[youtube] x: Sign in to confirm you're not a bot. Use --cookies", LoginRequired),
        ("[x] 1: This video is only available for registered users", LoginRequired),
        ("[youtube] x: Join this channel to get access to members-only content", LoginRequired),
        ("Unsupported URL: https://example.com/", UnsupportedUrl),
        ("'x' is not a valid URL. Set --default-search", UnsupportedUrl),
        ("x: Unable to download webpage: HTTP Error 404: Not Found", Unavailable),
        ("x: HTTP Error 410: Gone", Unavailable),
        ("x: HTTP Error 451: Unavailable For Legal Reasons", Unavailable),
        ("x: HTTP Error 401: Unauthorized", LoginRequired),
        ("x: HTTP Error 403: Forbidden", Unavailable),
        ("x: HTTP Error 429: Too Many Requests", SiteThrottled),
        ("x: HTTP Error 408: Request Timeout", NetworkError),
        ("x: HTTP Error 503: Service Unavailable", NetworkError),
        ("x: HTTP Error 302: Found (redirect loop detected)", Unavailable),
        ("x: HTTP Error 404: MemoryError [Errno 28] Sign in", Unavailable),
        ("[youtube] x: The current session has been rate-limited by YouTube", SiteThrottled),
        ("x: The read operation timed out", NetworkError),
        ("x: Failed to resolve 'a.invalid' ([Errno -2] Name or service not known)", NetworkError),
        ("x: [Errno 111] Connection refused", NetworkError),
        ("x: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", NetworkError),
        ("\n[download] Got error: 5 bytes read, 9 more expected. Giving up", NetworkError),
        ("unable to write data: [Errno 27] File too large", TooLarge),
        ("unable to write data: [Errno 28] No space left on device", StorageFull),
        ("unable to write data: [Errno 122] Disk quota exceeded", StorageFull),
        ("unable to write data: [Errno 30] Read-only file system", StorageUnavailable),
        ("unable to open for writing: [Errno 13] Permission denied: 'x.part'", StorageUnavailable),
        ("unable to write data: [Errno 5] Input/output error", StorageUnavailable),
        ("[x] 1: Unable to download webpage: can't start new thread", ToolFailed),
        ("Postprocessing: [Errno 11] Resource temporarily unavailable: connection", ToolFailed),
        ("[x] 1: Requested format is not available", NoSuchStream),
        ("Postprocessing: Conversion failed!", NoSuchStream),
        ("Postprocessing: Error opening input files: Invalid data found", NotMedia),
        ("Postprocessing: WARNING: unable to obtain file audio codec with ffprobe", NotMedia),
        ("\nDid not get any data blocks", NotMedia),
        ("This format is DRM protected", Unavailable),
        ("something never seen before", ToolFailed),
    ],
)
def test_the_words_of_an_error_are_translated(words: str, error: type[JobError]) -> None:
    found = failure_of(f"WARNING: [x] HTTP Error 500: earlier\nERROR: {words}\n")
    assert type(found) is error
    assert found.detail["tool"] == "yt-dlp"


@pytest.mark.parametrize(
    "told",
    [
        "std::bad_alloc",
        "MemoryError",
        "[Errno 12]",
        "[Errno 27]",
        "[Errno 28]",
        "rate-limit",
        "try again later",
        "sign in",
        "HTTP Error 429",
        "a: [Errno 28]: b",
        "x\nMemoryError",
        "ERROR:",
        "ERROR: MemoryError",
        "a.b: x\nERROR: [y] z: try again later",
    ],
)
@pytest.mark.parametrize(
    "place", ["{}", "{}.mp4", "v/{}/", "watch?v={}", "watch#{}", "w?a=/{}&b=1"]
)
def test_what_an_address_says_is_not_taken_for_a_word_of_yt_dlp(place: str, told: str) -> None:
    for part in (told.replace(" ", "-"), quote(told, safe=""), quote_plus(told)):
        url = f"https://example.com/{place.format(part)}"
        last = url.rstrip("/").split("/")[-1]
        of_generic = unquote(last.rpartition(".")[0] or last)
        for line in (
            f"ERROR: Unsupported URL: {url}",
            f"ERROR: [generic] {of_generic}: Unsupported URL: {url}",
            f"ERROR: [generic] {unquote(part)}: '{url}' is not a valid URL",
            f"ERROR: [x] {part}: no suitable extractor ({part in url and url})",
        ):
            assert type(failure_of(f"{line}\n", url=url)) is UnsupportedUrl, line


def test_the_name_of_a_site_is_not_taken_for_a_word_of_yt_dlp() -> None:
    told = "[generic] a: Failed to resolve 'login.rate-limit.org' ([Errno -2] Name or service not"
    found = failure_of(f"ERROR: {told} known)\n", url="https://login.rate-limit.org/a")
    assert type(found) is NetworkError


def test_an_address_takes_no_word_from_an_error() -> None:
    told = "ERROR: [x] video: This video is private\n"
    assert type(failure_of(told, url="https://example.com/private/video")) is Unavailable
    told = "ERROR: [x] 1: unable to write data: [Errno 28] No space left on device\n"
    assert type(failure_of(told, url="https://example.com/data/1")) is StorageFull


def test_a_crash_is_read_from_its_last_line() -> None:
    trace = 'Traceback (most recent call last):\n  File "/x/y.py", line 1, in z\nMemoryError\n'
    assert type(failure_of(trace)) is MemoryExceeded
    assert type(failure_of("")) is ToolFailed


def test_what_an_error_shows_has_no_paths_no_passwords_and_an_end() -> None:
    words = public_words(
        "in /data/jobs/1/media.mp4 from https://me:pw@example.com/a/b?key=1#x and 'http://h/p'"
        + "x" * 9_000,
        private=("/data/jobs/1",),
    )
    assert words.startswith("in /media.mp4 from https://example.com/a/b?… and 'http://h/p'")
    assert len(words) == 2_000
    assert public_words("cannot open /usr/lib/x/y.so (file:/etc/x/passwd)") == (
        "cannot open …/y.so (file:…/passwd)"
    )


# What was found


def test_an_item_becomes_the_public_info() -> None:
    info = to_info(
        {
            "id": "abc",
            "title": "A title",
            "description": "Two\nlines",
            "duration": 12.5,
            "thumbnail": "https://example.com/t.jpg",
            "extractor": "youtube:tab",
            "uploader": "Someone",
            "upload_date": "20261121",
            "view_count": 7,
            "like_count": 3,
            "live_status": "not_live",
            "webpage_url": URL,
            "formats": [
                {
                    "format_id": "18",
                    "ext": "mp4",
                    "width": 640,
                    "height": 360,
                    "fps": 25,
                    "vcodec": "avc1",
                    "acodec": "none",
                    "tbr": 500.5,
                    "filesize_approx": 99,
                    "protocol": "https",
                }
            ],
        }
    )
    assert info == {
        "id": "abc",
        "title": "A title",
        "description": "Two\nlines",
        "duration_seconds": 12.5,
        "thumbnail": "https://example.com/t.jpg",
        "platform": "youtube",
        "uploader": "Someone",
        "upload_date": "2026-11-21",
        "view_count": 7,
        "like_count": 3,
        "is_live": False,
        "webpage_url": URL,
        "formats": [
            {
                "format_id": "18",
                "ext": "mp4",
                "width": 640,
                "height": 360,
                "fps": 25.0,
                "video_codec": "avc1",
                "audio_codec": None,
                "bitrate": 500_500,
                "size_bytes": 99,
                "protocol": "https",
            }
        ],
        "entries": [],
    }


def test_what_is_unknown_is_null_and_all_names_are_there() -> None:
    info = to_info({})
    assert {key for key, value in info.items() if value} == set()
    assert set(info) == {
        "id", "title", "description", "duration_seconds", "thumbnail", "platform", "uploader",
        "upload_date", "view_count", "like_count", "is_live", "webpage_url", "formats", "entries",
    }  # fmt: skip


@pytest.mark.parametrize(
    "odd", [math.nan, math.inf, -1, 1e300, 10**400, True, "7", None, [], {}, "\ud800" * 3]
)
def test_odd_values_never_get_through_as_numbers_or_break_the_json(odd: Any) -> None:
    fields = ("id", "title", "description", "duration", "thumbnail", "extractor", "uploader",
              "upload_date", "view_count", "like_count", "is_live", "live_status", "webpage_url",
              "formats", "entries", "format_id", "width", "fps", "tbr", "vcodec")  # fmt: skip
    item = dict.fromkeys(fields, odd)
    info = to_info({**item, "formats": [item, odd], "entries": [item, odd]})
    json.dumps(info, allow_nan=False, ensure_ascii=False).encode()
    assert info["duration_seconds"] is None
    assert info["view_count"] is None
    assert info["thumbnail"] is None
    assert info["formats"][0]["bitrate"] is None


def test_texts_are_bounded_and_of_one_line_where_one_is_expected() -> None:
    info = to_info({"title": "a \r\n\t b\0" + "x" * 9_000, "description": "y" * 90_000})
    assert info["title"].startswith("a b\N{REPLACEMENT CHARACTER}xxx")
    assert len(info["title"]) <= 5_000
    assert len(info["description"]) == 20_000


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:x", "//h/x", "http://h/\nx", "x" * 9])
def test_only_web_addresses_are_shown_as_addresses(url: str) -> None:
    info = to_info({"thumbnail": url, "webpage_url": url})
    assert (info["thumbnail"], info["webpage_url"]) == (None, None)


def test_the_number_that_a_pages_only_video_gets_is_taken_off_again() -> None:
    embed = {"extractor": "html5", "extractor_key": "HTML5MediaEmbed"}
    assert to_info({**embed, "title": "Part (1) (1)"})["title"] == "Part (1)"
    assert to_info({**embed, "title": "Two (2)"})["title"] == "Two (2)"
    assert to_info({"extractor": "x", "title": "Part (1)"})["title"] == "Part (1)"


def test_a_list_has_entries_and_a_bound_on_formats() -> None:
    entry = {"title": "One", "url": "https://example.com/1", "extractor": "generic"}
    info = to_info({"title": "List", "entries": [entry, None], "formats": [{}] * 900})
    assert [each["webpage_url"] for each in info["entries"]] == ["https://example.com/1"]
    assert "formats" not in info["entries"][0]
    assert len(info["formats"]) == 500


def test_notes_survive_lines_that_are_cut_or_odd(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(b'{"a": 1}\n[1]\n\xff\n{"item": {"b": 2}, "formats": []}\n' + b"[" * 99_999)
    assert read_notes(path) == [{"a": 1}, {"b": 2, "formats": []}]
    assert read_notes(tmp_path / "missing") == []


# Lines


def follow(*lines: str) -> list[tuple[float | None, float | None, float | None]]:
    told: list[tuple[float | None, float | None, float | None]] = []
    watch = OutputReader(lambda *numbers: told.append(numbers))
    for line in lines:
        watch(line)
    return told


def progress(**values: Any) -> str:
    return PROGRESS + json.dumps({"status": "downloading", "filename": "media.mp4", **values})


def test_progress_is_told_in_numbers() -> None:
    told = follow(progress(downloaded_bytes=50, total_bytes=200, speed=10.5, eta=15))
    assert told == [(0.25, 10.5, 15.0)]


def test_pieces_count_where_bytes_are_not_known() -> None:
    assert follow(progress(fragment_index=3, fragment_count=4, downloaded_bytes=9)) == [
        (0.75, None, None)
    ]
    assert follow(progress(downloaded_bytes=9)) == [(None, None, None)]


def test_progress_over_two_files_goes_on_and_never_back() -> None:
    first, second = {"filename": "media.f0.mp4"}, {"filename": "media.f1.m4a"}
    told = follow(
        "[info] x: Downloading 1 format(s): 0+1",
        progress(downloaded_bytes=1, total_bytes=2, **first),
        progress(status="finished", **first),
        progress(downloaded_bytes=0, total_bytes=2, **second),
        progress(downloaded_bytes=1, total_bytes=2, **second),
        progress(downloaded_bytes=0, total_bytes=9, **first),
        progress(status="finished", **second),
    )
    fractions = [fraction for fraction, _, _ in told]
    assert fractions == pytest.approx([0.45, 0.9, 0.9, 0.95, 0.95, 1.0])


@pytest.mark.parametrize(
    "line",
    ["", PROGRESS, f"{PROGRESS}[]", f"{PROGRESS}{{", f"{PROGRESS}{'[' * 60_000}", "[x] y", "\0"],
)
def test_odd_lines_are_passed_over(line: str) -> None:
    assert follow(line) == []


def test_odd_numbers_are_not_told() -> None:
    line = PROGRESS + '{"downloaded_bytes": NaN, "total_bytes": 1e999, "speed": "x", "eta": true}'
    assert follow(line) == [(None, None, None)]


def test_rejections_that_end_with_status_0_are_seen_in_the_lines() -> None:
    with pytest.raises(TooLarge):
        follow("\r[download] File is larger than max-filesize (5 bytes > 1 bytes). Aborting.")
    with pytest.raises(TooLong):
        follow("[download] x does not pass filter (!is_live & duration<=?61), skipping ..")


def test_redirects_without_end_are_given_up() -> None:
    lines = ["[redirect] Following redirect to http://x/1"] * MAX_REDIRECTS
    assert follow(*lines) == []
    with pytest.raises(Unavailable):
        follow(*lines, lines[0])


# Ends


def finished(
    end: ProcessEnd = ProcessEnd.EXITED, returncode: int = 0, stderr: str = ""
) -> Finished:
    return Finished(end, returncode, stderr, 1.0, 1.0, 1)


def download_ending(folder: Path, result: Finished) -> Download:
    return download(
        URL,
        quality="best",
        container="mp4",
        folder=folder,
        run=lambda argv, limits, on_line: result,
        limits=Limits(deadline_seconds=9),
        proxy="http://127.0.0.1:1",
        max_bytes=100,
        max_duration_seconds=9,
        on_progress=lambda *_: None,
    )


@pytest.mark.parametrize("end", [ProcessEnd.CANCELLED, ProcessEnd.SHUTDOWN, ProcessEnd.LOST])
def test_a_process_that_was_stopped_is_nobodys_failure(tmp_path: Path, end: ProcessEnd) -> None:
    with pytest.raises(Stopped) as caught:
        download_ending(tmp_path, finished(end, -15))
    assert caught.value.end is end


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (ProcessEnd.DEADLINE, DeadlineExceeded),
        (ProcessEnd.STALLED, NetworkError),
        (ProcessEnd.MEMORY, MemoryExceeded),
        (ProcessEnd.PROCESSES, ToolFailed),
        (ProcessEnd.DISK, TooLarge),
    ],
)
def test_a_limit_that_was_reached_is_an_error_of_its_own(
    tmp_path: Path, end: ProcessEnd, error: type[JobError]
) -> None:
    with pytest.raises(error):
        download_ending(tmp_path, finished(end, -15))


def test_a_file_at_the_limit_says_more_than_the_tools_last_words(tmp_path: Path) -> None:
    (tmp_path / "media.temp.mp4").write_bytes(bytes(101))
    with pytest.raises(TooLarge):
        download_ending(tmp_path, finished(returncode=1, stderr="ERROR: Press [q] to stop"))


def test_a_good_status_without_a_result_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        download_ending(tmp_path, finished())


def test_only_a_plain_file_of_the_folder_is_a_result(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "media.mp4").write_bytes(b"x")
    note = {"item": {"filepath": str(tmp_path / "media.mp4")}, "formats": []}
    (folder / "result.jsonl").write_text(json.dumps(note))
    with pytest.raises(ToolFailed):
        download_ending(folder, finished())
    (folder / "media.mp4").symlink_to(tmp_path / "media.mp4")
    with pytest.raises(ToolFailed):
        download_ending(folder, finished())


def test_one_bad_entry_does_not_spoil_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text('{"title": "List", "extractor": "x"}\n')
    (tmp_path / "items.jsonl").write_text('{"item": {"title": "One"}, "formats": []}\n')
    info = extract(
        URL,
        playlist_items=5,
        folder=tmp_path,
        run=lambda argv, limits, on_line: finished(returncode=1),
        limits=Limits(deadline_seconds=9),
        proxy="http://127.0.0.1:1",
    )
    assert (info["title"], [each["title"] for each in info["entries"]]) == ("List", ["One"])


def test_joining_large_files_is_not_taken_for_silence(tmp_path: Path) -> None:
    seen: list[Limits] = []

    def run(argv: list[str], limits: Limits, on_line: Any) -> Finished:
        seen.append(limits)
        return finished(ProcessEnd.STALLED, -15)

    with pytest.raises(NetworkError):
        download(
            URL,
            quality="best",
            container="mp4",
            folder=tmp_path,
            run=run,
            limits=Limits(deadline_seconds=9, silence_seconds=30, memory_bytes=7),
            proxy="http://127.0.0.1:1",
            max_bytes=2_000_000_000,
            max_duration_seconds=9,
            on_progress=lambda *_: None,
        )
    assert seen[0].silence_seconds == 130
    assert seen[0].memory_bytes == 7
    assert seen[0].file_bytes == 2_000_000_001
    assert (seen[0].folder_bytes or 0) > 4_000_000_000


def test_an_error_without_a_word_is_one_of_memory() -> None:
    told = "WARNING: [generic] Falling back on generic information extractor\nERROR: \n"
    assert isinstance(failure_of(told), MemoryExceeded)
