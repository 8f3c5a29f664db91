"""Upgrading yt-dlp on its own: installed beside, tried, and only then used; with the way back."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distributions
from pathlib import Path

from clipmill.stack.processes import run_tool
from config.ytdlp import current, folder_of, present_version, program_in

PACKAGE = "yt-dlp[default]"
_INSTALL_SECONDS = 600.0
_TRY_SECONDS = 60.0
_PREVIOUS = "previous"  # a link too; none where the version before came with Clipmill
_TAIL = 800  # characters of what a tool said


class UpgradeFailed(Exception):
    """The version that was used before is still used; the message says why."""


def upgrade(data_dir: Path, wanted: str | None = None) -> str:
    """Install a version, or the newest, try it, and use it. Raises UpgradeFailed."""
    home = folder_of(data_dir)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as name:
        made = Path(name) / "packages"
        _install(made, f"{PACKAGE}=={wanted}" if wanted else PACKAGE)
        version = _version_in(made)
        try_out(program_in(made))
        place = home / version
        if current(data_dir) != place:
            shutil.rmtree(place, ignore_errors=True)
            made.chmod(0o755)
            made.rename(place)
            _use(data_dir, place)
    return version


def go_back(data_dir: Path) -> str:
    """Use the version before the last upgrade again. Raises UpgradeFailed."""
    home = folder_of(data_dir)
    if current(data_dir) is None:
        raise UpgradeFailed("the yt-dlp that came with Clipmill is used: there is no way back")
    before = home / _PREVIOUS
    if before.is_symlink() and before.resolve().is_dir():
        _point(home / "current", before.resolve())
        before.unlink()
    else:
        (home / "current").unlink()
    return present_version(data_dir)


def try_out(program: Sequence[str]) -> None:
    """Read a page of our own with this yt-dlp. Raises UpgradeFailed."""
    options = ("--ignore-config", "--no-plugin-dirs", "--no-cache-dir", "--proxy", "")
    with _page() as url:
        try:
            done = run_tool([*program, *options, "--dump-json", url], timeout_seconds=_TRY_SECONDS)
        except OSError as error:
            raise UpgradeFailed(f"the new yt-dlp does not start: {error}") from error
    try:
        read = json.loads(done.text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        read = None
    if done.status or not isinstance(read, dict) or read.get("url") != url:
        raise UpgradeFailed(f"the new yt-dlp does not work: {done.text[-_TAIL:].strip()}")


def _install(folder: Path, requirement: str) -> None:
    argv = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-input", "--no-cache-dir", "--only-binary", ":all:", "--target", str(folder),
        requirement,
    ]  # fmt: skip
    try:
        done = run_tool(argv, timeout_seconds=_INSTALL_SECONDS)
    except OSError as error:
        raise UpgradeFailed(f"pip does not run: {error}") from error
    if done.status:
        said = [line for line in done.text.splitlines() if line.startswith("ERROR:")]
        why = said[-1] if said else done.text[-_TAIL:].strip()
        raise UpgradeFailed(f"pip could not install {requirement}: {why}")


def _version_in(folder: Path) -> str:
    found = [it.version for it in distributions(path=[str(folder)]) if it.name == "yt-dlp"]
    if not found:
        raise UpgradeFailed("what pip installed holds no yt-dlp")
    return found[0]


def _use(data_dir: Path, place: Path) -> None:
    """Lead to this version, remember the one before, and remove older ones."""
    home, before = folder_of(data_dir), current(data_dir)
    if before is not None:
        _point(home / _PREVIOUS, before)
    else:
        (home / _PREVIOUS).unlink(missing_ok=True)
    _point(home / "current", place)
    for other in home.iterdir():
        is_version = other.is_dir() and not other.is_symlink() and not other.name.startswith(".")
        if is_version and other not in (place, before):
            shutil.rmtree(other, ignore_errors=True)


def _point(link: Path, to: Path) -> None:
    """Make a link in one step: a job that begins meanwhile finds the old place or the new one."""
    made = link.with_name(f".{link.name}-{os.getpid()}")
    made.unlink(missing_ok=True)
    made.symlink_to(to.name)
    made.rename(link)


@contextmanager
def _page() -> Iterator[str]:
    """The URL of a video, as far as a server says so, on this machine."""

    class Video(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", "16")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(bytes(16))

        do_HEAD = do_GET  # noqa: N815  # the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Video)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/try.mp4"
    finally:
        server.shutdown()
        server.server_close()
