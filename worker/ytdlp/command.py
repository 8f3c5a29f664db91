"""yt-dlp's commands: the options, with their reasons."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import deno
import imageio_ffmpeg

from config.ytdlp import BUNDLED
from tasks.errors import UnsupportedUrl
from worker.clip.allowlists import FORMATS
from worker.ytdlp.info import FORMAT_FIELDS, ITEM_FIELDS, LIST_FIELDS

# The URL, which may be signed: every user of the machine may read the arguments of a process.
URL_FILE = "url"
PROXY_FILE = "proxy.conf"  # it holds a password
ITEMS_FILE = "items.jsonl"  # one line an item: a video, or an entry of a list
LIST_FILE = "list.jsonl"  # one line: the list itself
RESULT_FILE = "result.jsonl"  # one line: the finished file
PROGRESS = "clipmill-progress "  # how a line of progress begins

SOCKET_TIMEOUT_SECONDS = 20
# What yt-dlp prefers among the sounds of a site, by the container that was asked for.
_AUDIO_CODECS = {"m4a": "aac", "opus": "opus", "mp3": "mp3", "flac": "flac", "wav": "wav"}
# Two streams are joined in the first of these that takes both as they are.
_JOINED = "mp4/webm/mkv"
_PROTOCOLS = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments|ism)$']"
# Extensions that stay as they are. yt-dlp would refuse a file with another one (a site's
# video.php): as unknown it is kept, and the probe finds out what it is.
KNOWN_EXTENSIONS = (
    "mp4", "m4v", "m4a", "mov", "mkv", "mka", "webm", "ogg", "ogv", "opus", "mp3", "aac", "flac",
    "wav", "flv", "avi", "ts", "mpg", "mpeg", "3gp", "wmv", "asf", "gif", "webp", "mxf",
)  # fmt: skip
_UNKNOWN_EXTENSION = f"^(?!(?:{'|'.join(KNOWN_EXTENSIONS)})$).*$"
# Each post-processor must be named: "ffmpeg_i" alone is accepted and not used (2026.08.19).
_POST_PROCESSORS = (
    "Merger", "VideoRemuxer", "ExtractAudio", "FixupM3u8", "FixupM4a", "FixupDuplicateMoov",
    "FixupStretched", "FixupTimestamp", "FixupDuration",
)  # fmt: skip
# The first pieces of a stream may have no sound: FFmpeg looks five seconds far, and takes what it
# has found by then for all. Bounded in bytes, since it keeps what it looked at.
_LOOK_FAR = "-analyzeduration 15M -probesize 20M"


def extract_argv(playlist_items: int, program: Sequence[str] = BUNDLED) -> list[str]:
    """The command that writes the metadata of the URL to files, and downloads nothing."""
    return [
        *program,
        *_base_options(),
        "--simulate",
        "--ignore-errors",
        "--ignore-no-formats-error",
        "--flat-playlist",
        "--yes-playlist" if playlist_items else "--no-playlist",
        *("--playlist-items", f":{playlist_items}" if playlist_items else "0"),
        *_note("video", _item_template(), ITEMS_FILE),
        *_note("playlist", f"%(.{{{','.join(LIST_FIELDS)}}})j", LIST_FILE),
        *("--batch-file", URL_FILE),
    ]


def download_argv(
    quality: str,
    container: str | None,
    max_bytes: int,
    max_duration_seconds: float,
    program: Sequence[str] = BUNDLED,
) -> list[str]:
    """The command that fetches one file whose name begins with `media`."""
    return [
        *program,
        *_base_options(),
        "--abort-on-error",
        "--abort-on-unavailable-fragments",  # else the file has gaps and the exit status is 0
        "--no-playlist",
        *("--playlist-items", "1"),
        *("--concat-playlist", "never"),
        *("--output", "media.%(ext)s"),  # the extension is read from the address, …
        *("--replace-in-metadata", "video:ext", _UNKNOWN_EXTENSION, "unknown_video"),  # … as "php"
        *("--max-filesize", str(max_bytes)),
        *("--match-filters", f"!is_live & duration<=?{math.ceil(max_duration_seconds)}"),
        *_selection(quality, container),
        *_note("after_move", _item_template("filepath", "playlist_count"), RESULT_FILE),
        *("--progress-delta", "0.5"),
        *("--progress-template", f"download:{PROGRESS}{_progress_template()}"),
        *("--batch-file", URL_FILE),
    ]


def checked(url: str) -> str:
    """The URL, if yt-dlp reads it as a web address and nothing else. Raises UnsupportedUrl."""
    if not re.match(r"https?://[^\s/]", url, re.IGNORECASE) or re.search(r"[\x00-\x20\x7f]", url):
        raise UnsupportedUrl("only http and https addresses can be a source")
    if "__youtubedl_smuggle" in url:  # how extractors hand options to each other
        raise UnsupportedUrl("this address carries options")
    return url


def _base_options() -> list[str]:
    """The options of every run: no settings of this machine, nothing that runs commands."""
    return [
        *("--ignore-config", "--no-plugin-dirs", "--no-remote-components", "--no-cache-dir"),
        *("--config-locations", PROXY_FILE),
        *("--no-update", "--color", "never", "--newline", "--no-live-from-start"),
        *("--socket-timeout", str(SOCKET_TIMEOUT_SECONDS)),
        # Few: the whole job is retried with back-off.
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
            for option in ("--postprocessor-args", f"{name}+ffmpeg_i:{_ffmpeg_input_options(name)}")
        ),
    ]


def _ffmpeg_input_options(post_processor: str) -> str:
    options = f"-protocol_whitelist file -format_whitelist {FORMATS}"
    return f"{options} {_LOOK_FAR}" if post_processor == "FixupM3u8" else options


def _js_runtime() -> list[str]:
    """The JavaScript runtime that YouTube needs; where the wheel brings none, other sites work."""
    try:
        return ["--js-runtimes", f"deno:{deno.find_deno_bin()}"]
    except FileNotFoundError:
        return []


def _selection(quality: str, container: str | None) -> list[str]:
    """The options that select the streams, their order and how two of them are joined.

    One file stays as it is, also where another container was asked for: only who has probed the
    file can say which of its streams does not fit.
    """
    if quality == "audio":
        return _sound_selection(container)
    join = ["--merge-output-format", f"{container}/mkv" if container else _JOINED]
    if quality == "worst":
        return ["--format", _formats("wv*+wa/w"), *join]
    order = _picture_order("" if quality == "best" else f":{quality.removesuffix('p')}", container)
    return ["--format", _formats("bv*+ba/b"), "--format-sort", order, *join]


def _sound_selection(container: str | None) -> list[str]:
    """The sound alone, copied where its codec has a container of its own, else converted."""
    order = f"lang,acodec:{_AUDIO_CODECS[container]}" if container else "lang"
    convert = ["--extract-audio", "--audio-format", container or "best"]
    return ["--format", _formats("ba/b"), "--format-sort", order, *convert]


def _formats(wanted: str) -> str:
    """The selection, limited to formats that yt-dlp fetches itself."""
    return re.sub(r"[^+/]+", lambda match: match[0] + _PROTOCOLS, wanted)


def _picture_order(height: str, container: str | None) -> str:
    """At most the height if there is such a format; then by what fits the container and plays."""
    if container == "webm":
        return f"lang,ext:webm:webm,res{height}"
    return f"lang,res{height},fps" + (",vcodec:h264,acodec:aac" if container != "mkv" else "")


def _note(when: str, template: str, name: str) -> list[str]:
    return ["--print-to-file", f"{when}:{template}", name]


def _item_template(*more: str) -> str:
    fields = f"%(.{{{','.join((*ITEM_FIELDS, *more))}}})j"
    return f'{{"item": {fields}, "formats": %(formats.:.{{{",".join(FORMAT_FIELDS)}}})j}}'


def _progress_template() -> str:
    fields = "status,filename,downloaded_bytes,total_bytes,fragment_index,fragment_count,speed,eta"
    return f"%(progress.{{{fields}}})j"
