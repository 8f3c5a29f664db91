"""yt-dlp on a page of this machine, to measure its memory where it needs no further tool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from config.values import parse_networks
from worker import ytdlp
from worker.calibration.fitting import Peak
from worker.calibration.trial import NO_LIMIT_BYTES, NotingToolRunner
from worker.egress.client import Egress
from worker.memory.model import site_terms
from worker.process.limits import Profile

MOST_BYTES = 1 << 30
LOOPBACK = parse_networks("127.0.0.0/8")


def site_peaks(video: Path, folder: Path) -> Iterator[Peak]:
    """The peaks of an extract and of a download of one file."""
    with (
        _served(video.parent) as address,
        TemporaryDirectory(dir=folder) as name,  # of its own: what lies there is counted
        closing(Egress(LOOPBACK, Path(name))) as egress,
        egress.way(MOST_BYTES) as way,
    ):
        url, work = f"{address}/{video.name}", Path(name)
        tools = NotingToolRunner(work, NO_LIMIT_BYTES)
        run, limits = tools.runner("yt-dlp"), tools.limits(profile=Profile.FETCH)
        ytdlp.extract(url, playlist_items=0, folder=work, run=run, limits=limits, proxy=way.url)
        yield Peak(site_terms("extract"), tools.peaks.pop("yt-dlp"))
        ytdlp.download(
            url,
            quality="best",
            container="mp4",
            folder=work,
            run=run,
            limits=limits,
            max_bytes=MOST_BYTES,
            max_duration_seconds=MOST_BYTES,
            on_progress=lambda done, speed, eta: None,
            proxy=way.url,
        )
        yield Peak(site_terms("download"), tools.peaks.pop("yt-dlp"))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line for each request would hide the results."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The folder's files on a free port of the loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
