"""Answers of the test origin, good and bad: each maker returns a function of one exchange."""

from __future__ import annotations

import hashlib
import html
import mimetypes
import re
import shutil
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from tests.support.origin.server import Exchange

Answer = Callable[["Exchange"], None]

CHUNK = 64 * 1024
MEDIA_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".mpd": "application/dash+xml",
    ".m4s": "video/iso.segment",
    ".mkv": "video/x-matroska",
    ".m4a": "audio/mp4",
}


def content(body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Always send these bytes."""

    def answer(exchange: Exchange) -> None:
        exchange.head(HTTPStatus.OK, content_type, len(body), headers)
        exchange.body(body)

    return answer


def file(
    path: Path, content_type: str | None = None, more: Mapping[str, str] | None = None
) -> Answer:
    """A file with ETag, conditional and range requests, as a good web server serves it.

    `more`: further headers of each answer that has the file.
    """
    media_type = content_type or guess_type(path)

    def answer(exchange: Exchange) -> None:
        if not path.is_file():
            exchange.head(HTTPStatus.NOT_FOUND, "text/plain", 0)
            return
        _answer_file(exchange, path, media_type, more or {})

    return answer


def guess_type(path: Path) -> str:
    """The media type that a web server would derive from the name."""
    guessed = MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return guessed or "application/octet-stream"


def etag_of(path: Path) -> str:
    """A strong tag of size and time."""
    stat = path.stat()
    return (
        '"' + hashlib.sha256(f"{stat.st_size}-{stat.st_mtime_ns}".encode()).hexdigest()[:32] + '"'
    )


def _answer_file(exchange: Exchange, path: Path, media_type: str, more: Mapping[str, str]) -> None:
    size, etag = path.stat().st_size, etag_of(path)
    headers = {"ETag": etag, "Accept-Ranges": "bytes", **more}
    if exchange.headers.get("If-None-Match") == etag:
        exchange.head(HTTPStatus.NOT_MODIFIED, media_type, None, headers)
        return
    asked = exchange.headers.get("Range") if _range_holds(exchange, etag) else None
    span = byte_range(asked, size)
    if span is None:
        headers["Content-Range"] = f"bytes */{size}"
        exchange.head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, media_type, 0, headers)
        return
    first, last = span
    if asked:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
    exchange.head(status, media_type, last - first + 1, headers)
    with path.open("rb") as stream:
        _send_span(exchange, stream, first, last)


def _range_holds(exchange: Exchange, etag: str) -> bool:
    return exchange.headers.get("If-Range", etag) == etag


def byte_range(asked: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a single range, the whole without one, None if not satisfiable."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "bytes=0-")
    if not match or match.group(0) == "bytes=-":
        return 0, size - 1
    start, end = match.groups()
    first = int(start) if start else max(0, size - int(end))
    last = min(int(end), size - 1) if start and end else size - 1
    return (first, last) if first <= last or size == 0 else None


def _send_span(exchange: Exchange, stream: IO[bytes], first: int, last: int) -> None:
    stream.seek(first)
    left = last - first + 1
    while left > 0 and (block := stream.read(min(CHUNK, left))):
        exchange.body(block)
        left -= len(block)


def folder(root: Path) -> Answer:
    """Every file below `root` by the rest of the path; no file outside `root`."""

    def answer(exchange: Exchange) -> None:
        path = (root / unquote(exchange.rest)).resolve()
        inside = path.is_relative_to(root.resolve())
        file(path if inside else root / "missing")(exchange)

    return answer


def page(
    title: str, video: str, *, og: bool = False, description: str = "", escape: bool = True
) -> Answer:
    """An HTML page with one video: in a <video> tag, or only named in og:video.

    With `escape=False` the title goes into the page unescaped, with its markup.
    """
    shown = html.escape(title) if escape else title
    source = html.escape(video)
    if og:
        embed = f'<meta property="og:video" content="{source}">'
    else:
        embed = f'<video src="{source}" type="video/mp4" controls></video>'
    body = (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{shown}</title>"
        f'<meta property="og:title" content="{html.escape(title)}">'
        f'<meta property="og:description" content="{html.escape(description)}">'
        f"</head><body>{embed}</body></html>"
    )
    return content(body.encode("utf-8", "surrogatepass"), "text/html; charset=utf-8")


def rss(title: str, links: list[str]) -> Answer:
    """A feed: a playlist of as many items as there are links."""
    items = "".join(
        f"<item><title>Item {number}</title><link>{html.escape(link)}</link>"
        f'<enclosure url="{html.escape(link)}" type="video/mp4"/></item>'
        for number, link in enumerate(links, start=1)
    )
    body = (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
        f"<title>{html.escape(title)}</title>{items}</channel></rss>"
    )
    return content(body.encode(), "application/rss+xml")


def status(code: int, headers: Mapping[str, str] | None = None, body: bytes = b"no") -> Answer:
    """Only a status, with a short text."""

    def answer(exchange: Exchange) -> None:
        exchange.head(code, "text/plain", len(body), headers)
        exchange.body(body)

    return answer


def throttled(retry_after_seconds: int) -> Answer:
    """429 with Retry-After."""
    return status(HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(retry_after_seconds)})


def redirect(target: str, code: int = HTTPStatus.FOUND) -> Answer:
    """Redirect to another address, relative or absolute."""
    return status(code, {"Location": target})


def in_turn(*answers: Answer) -> Answer:
    """The first answer to the first request, the next to the next; the last one for ever."""

    def answer(exchange: Exchange) -> None:
        answers[min(exchange.number, len(answers)) - 1](exchange)

    return answer


def silence(content_type: str = "video/mp4", length: int | None = 1_000_000) -> Answer:
    """Send the headers, then nothing, and keep the connection open."""

    def answer(exchange: Exchange) -> None:
        exchange.head(HTTPStatus.OK, content_type, length)
        exchange.pause(None)

    return answer


def unanswered() -> Answer:
    """Send nothing, not even headers."""

    def answer(exchange: Exchange) -> None:
        exchange.close_connection = True
        exchange.pause(None)

    return answer


def slow(path: Path, bytes_per_second: float, content_type: str | None = None) -> Answer:
    """A whole file at a steady rate, in ten small pieces a second (in single bytes below that)."""

    def answer(exchange: Exchange) -> None:
        exchange.head(HTTPStatus.OK, content_type or guess_type(path), path.stat().st_size)
        piece = max(1, int(bytes_per_second / 10))
        with path.open("rb") as stream:
            while block := stream.read(piece):
                exchange.body(block)
                exchange.pause(len(block) / bytes_per_second)

    return answer


def drip(bytes_per_second: float = 1, content_type: str = "video/mp4") -> Answer:
    """Announce a megabyte and send single bytes."""

    def answer(exchange: Exchange) -> None:
        exchange.head(HTTPStatus.OK, content_type, 1_000_000)
        while not exchange.closing:
            exchange.body(b"\0")
            exchange.pause(1 / bytes_per_second)

    return answer


def endless(content_type: str = "video/mp4", start: bytes = b"") -> Answer:
    """A body without a length and without an end, as fast as the client takes it."""

    def answer(exchange: Exchange) -> None:
        exchange.head(HTTPStatus.OK, content_type, None)
        exchange.body(start)
        while not exchange.closing:
            exchange.body(bytes(CHUNK))

    return answer


def lying(path: Path, declared: int, content_type: str | None = None) -> Answer:
    """A file under a Content-Length that is not its own; ends by closing the connection."""

    def answer(exchange: Exchange) -> None:
        exchange.close_connection = True
        exchange.head(HTTPStatus.OK, content_type or guess_type(path), declared)
        with path.open("rb") as stream:
            shutil.copyfileobj(stream, exchange.wfile)

    return answer


def treadmill(prefix: str) -> Answer:
    """A redirect without an end: the first request gets a page, the second is redirected on.

    A client that asks again after a redirect is redirected for ever.
    """

    def answer(exchange: Exchange) -> None:
        step = int(exchange.rest or 0)
        if step == 0 or exchange.number > 1:
            redirect(f"{prefix}{step + 1}")(exchange)
        else:
            content(b"<!DOCTYPE html><title>on and on</title>", "text/html")(exchange)

    return answer


def live_hls(segment: str, segment_seconds: float = 1.0) -> Answer:
    """A live playlist that advances with every request and never ends."""

    def answer(exchange: Exchange) -> None:
        first = exchange.number
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
        lines += [f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for number in range(first, first + 3):
            lines += [f"#EXTINF:{segment_seconds:.3f},", f"{segment}?n={number}"]
        body = "\n".join(lines).encode()
        content(body, MEDIA_TYPES[".m3u8"], {"Cache-Control": "no-store"})(exchange)

    return answer
