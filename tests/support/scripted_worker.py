"""`python -m tests.support.scripted_worker`: the real worker, with work that the URL describes.

All is as in production but the work of an extract or download, which is a small tool under the
real guard. The URL's query says what the work does; the end of the path names the work in the log.
    ?seconds=3            work this long          ?bytes=1000   deliver this many (downloads)
    ?raise=MemoryError    in the worker's thread  ?fail=network_error   as the tool's own failure
    ?kill=worker          end the worker itself
Each begin and end of such work, or its failure, is one line in a log. The path of the log is the
first argument and no variable, since the settings refuse unknown names. Options after it: --stuck
makes the heartbeat hang after three seconds, --quick makes leases and back-off short, --real leaves
the work to the real tools and only logs it.
"""

from __future__ import annotations

import argparse
import builtins
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from config.timings import PRODUCTION, Timings
from tasks.errors import BlockedAddress, NetworkError, ToolFailed, job_error_codes
from tasks.kinds import ClipSpec, DownloadSpec, ExtractResult, ExtractSpec, Verification
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Spec
from tasks.store import Store
from tests.support.timings import QUICK
from worker import app
from worker.attempt.attempt import Attempt
from worker.attempt.lease import LeasedJob
from worker.attempt.outcome import Outcome
from worker.build import build
from worker.cutting import Cut
from worker.egress.policy import Policy
from worker.engine.heartbeat import Heartbeat
from worker.kinds import HANDLERS, clip, download
from worker.kinds.clip import ClipHandler
from worker.kinds.download import DownloadHandler
from worker.kinds.extract import ExtractHandler
from worker.kinds.handler import Handler
from worker.memory.capacity import Capacity
from worker.memory.need import ResourceNeed
from worker.process.tools import ended_error
from worker.ytdlp import Download

JUDGED = Policy.addresses
TOOL = "import sys,time\nf=open('made.mp4','wb')\nn,s=int(sys.argv[1]),float(sys.argv[2])\n"
TOOL += "e=time.monotonic()+s\nf.write(b'm'*n)\nf.flush()\n"
TOOL += "while time.monotonic()<e: time.sleep(0.05)\n"


CUT = {
    "mode": "copy", "mode_reason": "asked for", "requested_start": 0.0, "requested_end": 1.0,
    "actual_start": 0.0, "actual_end": 1.0, "frames": 1, "frames_encoded": 0, "frames_copied": 1,
    "verification": Verification(1, 1, 1),
}  # fmt: skip
LENGTH_SECONDS = 3600.0  # longer than any clip that a test asks for
PICTURE = VideoFacts("h264", None, 64, 36, "yuv420p", 8, 25.0)


class Effects:
    """An append-only log of the work that ran; one write for each line, which stays whole."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, **values: Any) -> None:
        line = json.dumps({"at": time.time(), "pid": os.getpid(), **values}) + "\n"
        os.write(self._descriptor, line.encode())


@contextmanager
def noted(effects: Effects, leased: LeasedJob) -> Iterator[None]:
    """Log the begin and the end of work; work that is killed in between has only a begin."""
    job = leased.job
    name = {"job": job.id, "attempt": job.attempt, "token": leased.lease.token}
    effects.note(event="begin", **name)
    try:
        yield
    except BaseException as error:
        effects.note(event="failed", why=type(error).__name__, **name)
        raise
    effects.note(event="end", **name)


class Traced(Handler[Any]):
    """Works as in production, and logs the work."""

    def __init__(self, real: Handler[Any], effects: Effects) -> None:
        self._real = real
        self._effects = effects

    def need(self, spec: Spec, source: MediaFacts | None, capacity: Capacity) -> ResourceNeed:
        return self._real.need(spec, source, capacity)

    def run(self, spec: Spec, attempt: Attempt) -> Outcome:
        with noted(self._effects, attempt.leased):
            return self._real.run(spec, attempt)


class Scripted:
    """Does the work that a URL describes."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def work(self, url: str, attempt: Attempt) -> int:
        """Do the work; how many bytes it has written to `made.mp4`."""
        asked = {name: found[0] for name, found in parse_qs(urlsplit(url).query).items()}
        size = int(asked.get("bytes", "10"))
        with noted(self._effects, attempt.leased):
            misbehave(asked, attempt.job.attempt)
            argv = [sys.executable, "-S", "-c", TOOL, str(size), asked.get("seconds", "0")]
            finished = attempt.tools.run("tool", argv, attempt.tools.limits())
            if (ended := ended_error(finished)) is not None:
                raise ended
            if finished.returncode != 0:
                raise ToolFailed("the tool failed", {"stderr": finished.stderr_tail[-500:]})
        return size


class ScriptedExtract(Scripted, ExtractHandler):
    """In place of yt-dlp."""

    def run(self, spec: ExtractSpec, attempt: Attempt) -> Outcome:
        assert spec.source.url is not None
        attempt.enter("extracting")
        self.work(spec.source.url, attempt)
        return Outcome(ExtractResult(info={"title": "a page"}))


class ScriptedDownload(Scripted, DownloadHandler):
    """In place of yt-dlp."""

    def run(self, spec: DownloadSpec, attempt: Attempt) -> Outcome:
        assert spec.source.url is not None
        attempt.enter("downloading")
        size = self.work(spec.source.url, attempt)
        facts = MediaFacts("mov,mp4", 0.0, LENGTH_SECONDS, size, PICTURE)
        path = attempt.tools.folder / "made.mp4"
        return download.outcome(path, facts, Download(path, {"title": "made"}))


class ScriptedClip(Scripted, ClipHandler):
    """In place of FFmpeg; a clip of its own for each range."""

    def run(self, spec: ClipSpec, attempt: Attempt) -> Outcome:
        with attempt.source() as source:
            attempt.enter("cutting")
            size = source.path.stat().st_size
        self.work(f"https://127.0.0.1/?seconds=0.2&bytes={size}", attempt)
        path = (attempt.tools.folder / "made.mp4").rename(attempt.tools.folder / "clip.mp4")
        with path.open("ab") as file:
            file.write(f"{spec.start}-{spec.end}".encode())
        return clip.finished(spec, source.title, Cut(path, source.facts, CUT), attempt)


def misbehave(asked: Mapping[str, str], attempt: int) -> None:
    """Go wrong as the URL says."""
    if asked.get("kill") == "worker":
        time.sleep(0.5)  # jobs that came with it may end first
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in asked:
        raise getattr(builtins, asked["raise"])
    if asked.get("fail") == "sometimes" and attempt < 2:
        raise NetworkError("the first try fails")
    if asked.get("fail") in job_error_codes():
        raise job_error_codes()[asked["fail"]]("asked for")


def handlers_of(effects: Effects, *, real: bool) -> Mapping[str, Handler[Any]]:
    """The handlers of all kinds, which log their work; those of uploads are the real ones."""
    if real:
        return {kind: Traced(handler, effects) for kind, handler in HANDLERS.items()}
    scripted = {"extract": ScriptedExtract, "download": ScriptedDownload, "clip": ScriptedClip}
    return {**HANDLERS, **{kind: handler(effects) for kind, handler in scripted.items()}}


class StuckHeartbeat(Heartbeat):
    """Hangs three seconds after its start."""

    def __init__(self, store: Store, timings: Timings) -> None:
        super().__init__(store, timings)
        self._hangs_from = time.monotonic() + 3

    def round(self) -> None:
        if time.monotonic() > self._hangs_from:
            threading.Event().wait()
        super().round()


def main(arguments: Sequence[str]) -> int:
    """Run the worker."""
    parser = argparse.ArgumentParser(prog="scripted_worker")
    parser.add_argument("effects")
    for option in ("--quick", "--stuck", "--real"):
        parser.add_argument(option, action="store_true")
    asked = parser.parse_args(arguments)
    timings = QUICK if asked.quick else PRODUCTION
    Policy.addresses = only_here  # type: ignore[method-assign]
    if asked.stuck:
        timings = replace(timings, watchdog_patience_looks=3)
    return app.main(
        partial(
            build,
            timings=timings,
            handlers=handlers_of(Effects(asked.effects), real=asked.real),
            heartbeat=StuckHeartbeat if asked.stuck else Heartbeat,
        )
    )


def read_effects(path: Path) -> list[dict[str, Any]]:
    """Every line of the log."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def only_here(policy: Policy, host: str, port: int) -> list[str]:
    """Tests send nothing to other machines, whatever webhooks they name."""
    if host != "127.0.0.1":
        raise BlockedAddress("a test sends to this machine alone")
    return JUDGED(policy, host, port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
