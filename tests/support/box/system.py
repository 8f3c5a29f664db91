"""The whole system as a user starts it, `clipmill up`, inside a small box."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from clipmill.client import Client
from config.settings import PREFIX, process_environment
from tests.support.box.group import Box

# What the media processes may use together (335 MB), so that with API, worker and broker (104 MB as
# PSS, 164 MB as RSS) the whole system stays below 512 MB.
MEDIA_BUDGET = "320MiB"
START_SECONDS, STOP_SECONDS = 60.0, 40.0


@dataclass(frozen=True)
class BoxedSystem:
    """The running system, and a client outside the box."""

    client: Client
    url: str
    process: psutil.Process
    folder: Path

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all its descendants."""
        return [self.process, *self.process.children(recursive=True)]

    def log(self) -> str:
        """The end of the system's log."""
        return log_of(self.folder)


@contextmanager
def boxed_system(box: Box | None, folder: Path, **settings: str) -> Iterator[BoxedSystem]:
    """Supervisor, broker, worker, API and all that they start, in the box; ready.

    Without a box they run as usual processes. `settings` are named without the prefix; the budget
    is the default unless it is set.
    """
    ready = folder / "ready"
    argv = [sys.executable, "-P", "-m", "clipmill", "up", "--ready-file", str(ready)]
    environ = environment(**{"MEMORY_BUDGET": "", "DATA_DIR": str(folder / "data"), **settings})
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            box.command(argv) if box else argv, env=environ, cwd=folder, stdout=log, stderr=log
        )
    try:
        url = _await_url(process, ready)
        with Client(url) as client:
            yield BoxedSystem(client, url, psutil.Process(process.pid), folder)
    except Exception as error:
        error.add_note(log_of(folder))
        raise
    finally:
        _stop(process)


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with the benchmark's settings instead of the user's."""
    kept = {
        name: value for name, value in process_environment().items() if not name.startswith(PREFIX)
    }
    ours = {
        "PORT": "0",
        "MEMORY_BUDGET": MEDIA_BUDGET,
        "ALLOWED_NETWORKS": "127.0.0.0/8",
        "SHUTDOWN_GRACE": "2s",
        **settings,
    }
    return kept | {PREFIX + name: value for name, value in ours.items()}


def log_of(folder: Path) -> str:
    """The end of the log in the system's folder."""
    return (folder / "log").read_text(errors="replace")[-6000:]


def _await_url(process: subprocess.Popen[bytes], ready: Path) -> str:
    give_up_at = time.monotonic() + START_SECONDS
    while not (ready.exists() and ready.read_text()):
        if process.poll() is not None:
            raise RuntimeError(f"`clipmill up` ended with status {process.returncode}")
        if time.monotonic() > give_up_at:
            raise TimeoutError("`clipmill up` did not become ready")
        time.sleep(0.05)
    return ready.read_text().strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # the stack's guard ends the rest
        process.wait()
        raise
