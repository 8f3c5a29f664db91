"""A small web site on this machine alone: a page with a video, and the video in ranges."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

PAGE = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>The Clipmill demonstration</title></head>
<body><video controls><source src="/video.mp4" type="video/mp4"></video></body>
</html>
"""
CHUNK_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@contextmanager
def running_site(video: Path) -> Iterator[str]:
    """Serve the page as long as the block lasts; yields its URL."""
    server = Site(video)
    thread = threading.Thread(target=server.serve_forever, name="site", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/watch.html"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Site(ThreadingHTTPServer):
    """The server, on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, video: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.video = video


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Site

    def do_GET(self) -> None:
        if self.path == "/watch.html":
            self._begin(HTTPStatus.OK, "text/html; charset=utf-8", len(PAGE))
            self._send(BytesIO(PAGE), len(PAGE))
        elif self.path == "/video.mp4":
            self._send_video()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the terminal shows the jobs."""

    def _send_video(self) -> None:
        size = self.server.video.stat().st_size
        first, last = asked_range(self.headers.get("Range", ""), size)
        length = last - first + 1
        if length == size:
            self._begin(HTTPStatus.OK, "video/mp4", length)
        else:
            self._begin(
                HTTPStatus.PARTIAL_CONTENT,
                "video/mp4",
                length,
                {"Content-Range": f"bytes {first}-{last}/{size}"},
            )
        with self.server.video.open("rb") as file:
            file.seek(first)
            self._send(file, length)

    def _begin(
        self, status: HTTPStatus, kind: str, length: int, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(length), "Accept-Ranges": "bytes"}
        for name, value in {**headers, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: BinaryIO, length: int) -> None:
        if self.command == "HEAD":
            return
        try:
            while length > 0:
                chunk = file.read(min(CHUNK_BYTES, length))
                self.wfile.write(chunk)
                length -= len(chunk)
        except ConnectionError:  # the client has what it needed, for example the file's head
            self.close_connection = True


def asked_range(header: str, size: int) -> tuple[int, int]:
    """The first and last byte that a Range header asks for; the whole file for any other form."""
    match = _RANGE.fullmatch(header)
    if match is None:
        return 0, size - 1
    first = int(match[1])
    return first, min(int(match[2]) if match[2] else size - 1, size - 1)
