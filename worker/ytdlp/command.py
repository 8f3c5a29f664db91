"""The commands: yt-dlp's options, each with its reason."""

from __future__ import annotations

import math
import re
import sys

import deno
import imageio_ffmpeg

from tasks.errors import UnsupportedUrl
from worker.clip.allowlists import FORMATS
from worker.ytdlp.info import FORMAT_FIELDS, ITEM_FIELDS, LIST_FIELDS

ITEMS_FILE = "items.jsonl"  # one line an item: a video, or an entry of a list
LIST_FILE = "list.jsonl"  # one line: the list itself
RESULT_FILE = "result.jsonl"  # one line: the finished file
PROGRESS = "clipmill-progress "  # how a line of progress begins

SOCKET_TIMEOUT_SECONDS = 20
# What the sound alone is put into, by the container that was asked for.
AUDIO_CONTAINERS = {"mp4": "m4a", "m4a": "m4a", "mkv": "m4a", "webm": "opus", "mp3": "mp3"}
_AUDIO_CODECS = {"m4a": "aac", "opus": "opus", "mp3": "mp3"}
_PROTOCOLS = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments|ism)$']"
# What is left as it is, if it is what was asked for. Any other extension (a site's video.php) would
# be refused, or would be kept as a strange name: as unknown, it goes through FFmpeg.
KNOWN_EXTENSIONS = (
    "mp4", "m4v", "m4a", "mov", "mkv", "mka", "webm", "ogg", "ogv", "opus", "mp3", "aac", "flac",
    "wav", "flv", "avi", "ts", "mpg", "mpeg", "3gp", "wmv", "asf",
)  # fmt: skip
_UNKNOWN_EXTENSION = f"^(?!(?:{'|'.join(KNOWN_EXTENSIONS)})$).*$"
# Each post-processor must be named: "ffmpeg_i" alone is taken and not used (2026.08.19).
_POST_PROCESSORS = (
    "Merger", "VideoRemuxer", "ExtractAudio", "FixupM3u8", "FixupM4a", "FixupDuplicateMoov",
    "FixupStretched", "FixupTimestamp", "FixupDuration",
)  # fmt: skip


def extract_argv(url: str, playlist_items: int) -> list[str]:
    """The command that notes what is behind a URL and downloads nothing."""
    return [
        *_base_argv(),
        "--simulate",
        "--ignore-errors",
        "--ignore-no-formats-error",
        "--flat-playlist",
        "--yes-playlist" if playlist_items else "--no-playlist",
        *("--playlist-items", f":{playlist_items}" if playlist_items else "0"),
        *_note("video", _item_template(), ITEMS_FILE),
        *_note("playlist", f"%(.{{{','.join(LIST_FIELDS)}}})j", LIST_FILE),
        *("--", checked(url)),
    ]


def download_argv(
    url: str,
    quality: str,
    container: str,
    max_bytes: int,
    max_duration_seconds: float,
) -> list[str]:
    """The command that fetches one file whose name begins with `media`."""
    return [
        *_base_argv(),
        "--abort-on-error",
        "--abort-on-unavailable-fragments",  # else the file has holes and the exit status is 0
        "--no-playlist",
        *("--playlist-items", "1"),
        *("--concat-playlist", "never"),
        *("--output", "media.%(ext)s"),  # the extension is read from the address, …
        *("--replace-in-metadata", "video:ext", _UNKNOWN_EXTENSION, "unknown_video"),  # … as "php"
        *("--max-filesize", str(max_bytes)),
        *("--match-filters", f"!is_live & duration<=?{math.ceil(max_duration_seconds)}"),
        *_selection(quality, final_container(quality, container)),
        *_note("after_move", _item_template("filepath", "playlist_count"), RESULT_FILE),
        *("--progress-delta", "0.5"),
        *("--progress-template", f"download:{PROGRESS}{_progress_template()}"),
        *("--", checked(url)),
    ]


def final_container(quality: str, container: str) -> str:
    """What the file will end in."""
    return AUDIO_CONTAINERS[container] if quality == "audio" else container


def checked(url: str) -> str:
    """A web address and nothing that yt-dlp reads in another way. Raises UnsupportedUrl."""
    if not re.match(r"https?://[^\s/]", url, re.IGNORECASE) or re.search(r"[\x00-\x20\x7f]", url):
        raise UnsupportedUrl("only http and https addresses can be a source")
    if "__youtubedl_smuggle" in url:  # how extractors hand options to each other
        raise UnsupportedUrl("this address carries options")
    return url


def _base_argv() -> list[str]:
    """What holds for every run: nothing of this machine's settings, nothing that runs commands."""
    return [
        *(sys.executable, "-I", "-m", "yt_dlp"),
        *("--ignore-config", "--no-plugin-dirs", "--no-remote-components", "--no-cache-dir"),
        *("--no-update", "--color", "never", "--newline", "--no-live-from-start"),
        *("--socket-timeout", str(SOCKET_TIMEOUT_SECONDS)),
        # Few: a whole job is tried again with back-off.
        *("--retries", "2", "--fragment-retries", "2", "--extractor-retries", "1"),
        *("--file-access-retries", "0", "--concurrent-fragments", "4"),
        "--no-js-runtimes",
        *_js_runtime(),
        *("--ffmpeg-location", imageio_ffmpeg.get_ffmpeg_exe()),
        # FFmpeg gets no network: not as a downloader that a manifest talks yt-dlp into, …
        *("--downloader", "native", "--downloader-args", "ffmpeg_i:-protocol_whitelist file"),
        # … and not as a post-processor, where it must not read playlists called .mp4 either.
        *(
            option
            for name in _POST_PROCESSORS
            for option in ("--postprocessor-args", f"{name}+ffmpeg_i:{_ffmpeg_input_options()}")
        ),
    ]


def _ffmpeg_input_options() -> str:
    return f"-protocol_whitelist file -format_whitelist {FORMATS}"


def _js_runtime() -> list[str]:
    """YouTube's player needs one; where the wheel brings none, other sites still work."""
    try:
        return ["--js-runtimes", f"deno:{deno.find_deno_bin()}"]
    except FileNotFoundError:
        return []


def _selection(quality: str, final: str) -> list[str]:
    """Which streams, by what order, into which container."""
    if quality == "audio":
        order = f"lang,acodec:{_AUDIO_CODECS[final]}"
        convert = ["--extract-audio", "--audio-format", final]
        return ["--format", _formats("ba/b"), "--format-sort", order, *convert]
    convert = ["--merge-output-format", final, "--remux-video", final]
    if quality == "worst":
        return ["--format", _formats("wv*+wa/w"), *convert]
    order = _picture_order("" if quality == "best" else f":{quality.removesuffix('p')}", final)
    return ["--format", _formats("bv*+ba/b"), "--format-sort", order, *convert]


def _formats(wanted: str) -> str:
    """The selection, only from what is fetched by yt-dlp itself."""
    return re.sub(r"[^+/]+", lambda match: match[0] + _PROTOCOLS, wanted)


def _picture_order(height: str, final: str) -> str:
    """At most the height if there is such; within it what fits the container and plays anywhere."""
    if final == "webm":
        return f"lang,ext:webm:webm,res{height}"
    return f"lang,res{height},fps" + (",vcodec:h264,acodec:aac" if final == "mp4" else "")


def _note(when: str, template: str, name: str) -> list[str]:
    return ["--print-to-file", f"{when}:{template}", name]


def _item_template(*more: str) -> str:
    fields = f"%(.{{{','.join((*ITEM_FIELDS, *more))}}})j"
    return f'{{"item": {fields}, "formats": %(formats.:.{{{",".join(FORMAT_FIELDS)}}})j}}'


def _progress_template() -> str:
    fields = "status,filename,downloaded_bytes,total_bytes,fragment_index,fragment_count,speed,eta"
    return f"%(progress.{{{fields}}})j"
