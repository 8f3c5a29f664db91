"""`python -m tests.support.scripted_worker`: the real worker, with work that the URL describes.

All is as in production but the work of an extract or download, which is a small tool under the
real guard. The URL's query says what it does; the end of the path names it in the log.
    ?seconds=3            work so long            ?bytes=1000   deliver so many (downloads)
    ?raise=MemoryError    in the worker's thread  ?fail=network_error   as the tool's own failure
    ?kill=worker          end the worker itself
Each begin and end of such work, or its failure, is one line in the file that CLIPMILL_EFFECTS
would name; the path comes as the first argument, since the settings refuse strange names. Options
after it: --stuck makes the heartbeat hang after three seconds, --quick makes leases and back-off
short, --real leaves the work to the real tools and only notes it.
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
from tasks.errors import NetworkError, ToolFailed, job_error_codes
from tasks.kinds import ClipSpec, DownloadSpec
from tasks.media import MediaFacts, VideoFacts
from tasks.store import Store
from tests.support.timings import QUICK
from worker import app
from worker.build import build
from worker.engine.attempt import Exchange, JobMachine, Toolbox
from worker.engine.lease import Heartbeat, LeasedJob
from worker.kinds.interface import Cut, Fetched, SourceMedia
from worker.memory.need import ResourceNeed
from worker.process.tools import ended_error

TOOL = "import sys,time\nf=open('made.mp4','wb')\nn,s=int(sys.argv[1]),float(sys.argv[2])\n"
TOOL += "e=time.monotonic()+s\nf.write(b'm'*n)\nf.flush()\n"
TOOL += "while time.monotonic()<e: time.sleep(0.05)\n"


CUT = {
    "mode": "copy", "mode_reason": "asked for", "requested_start": 0.0, "requested_end": 1.0,
    "actual_start": 0.0, "actual_end": 1.0, "frames": 1, "frames_encoded": 0, "frames_copied": 1,
}  # fmt: skip
PICTURE = VideoFacts("h264", None, 64, 36, "yuv420p", 8, 25.0)


class Effects:
    """An append-only log of what really happened; one write a line, so that lines stay whole."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, **values: Any) -> None:
        line = json.dumps({"at": time.time(), "pid": os.getpid(), **values}) + "\n"
        os.write(self._descriptor, line.encode())


class NotingMachine(JobMachine):
    """A machine that notes what is done."""

    def __init__(self, effects: Effects, *of_every_machine: Any) -> None:
        super().__init__(*of_every_machine)
        self.effects = effects


class TracedMachine(NotingMachine):
    """Works as ever, and its work is noted."""

    def extract(self, url: str, playlist_items: int) -> Mapping[str, Any]:
        with noted(self.effects, self._leased):
            return super().extract(url, playlist_items)

    def download(self, spec: DownloadSpec) -> Fetched:
        with noted(self.effects, self._leased):
            return super().download(spec)

    def cut(self, spec: ClipSpec, source: SourceMedia) -> Cut:
        with noted(self.effects, self._leased):
            return super().cut(spec, source)


@contextmanager
def noted(effects: Effects, leased: LeasedJob) -> Iterator[None]:
    """Its begin and how it ends; of what is killed in between there is only the begin."""
    job = leased.job
    name = {"job": job.id, "attempt": job.attempt, "token": leased.lease.token}
    effects.note(event="begin", **name)
    try:
        yield
    except BaseException as error:
        effects.note(event="failed", why=type(error).__name__, **name)
        raise
    effects.note(event="end", **name)


class ScriptedMachine(NotingMachine):
    """Does what the URL says."""

    def extract(self, url: str, playlist_items: int) -> Mapping[str, Any]:
        self._enter("extracting")
        self._work(url)
        return {"title": "a page"}

    def download(self, spec: DownloadSpec) -> Fetched:
        assert spec.source.url is not None
        self._enter("downloading")
        size = self._work(spec.source.url)
        path = self._tools.folder / "made.mp4"
        facts = MediaFacts("mov,mp4", 0.0, 1.0, size, PICTURE)
        return Fetched(path, facts, {"title": "made", "platform": "generic"})

    def cut(self, spec: ClipSpec, source: SourceMedia) -> Cut:
        self._enter("cutting")
        self._work(f"https://127.0.0.1/?seconds=0.2&bytes={source.path.stat().st_size}")
        clip = (self._tools.folder / "made.mp4").rename(self._tools.folder / "clip.mp4")
        with clip.open("ab") as file:  # a clip of its own for each range
            file.write(f"{spec.start}-{spec.end}".encode())
        return Cut(clip, source.facts, CUT)

    def _work(self, url: str) -> int:
        asked = {name: found[0] for name, found in parse_qs(urlsplit(url).query).items()}
        size = int(asked.get("bytes", "10"))
        with noted(self.effects, self._leased):
            self._misbehave(asked)
            argv = [sys.executable, "-S", "-c", TOOL, str(size), asked.get("seconds", "0")]
            finished = self._tools.run("tool", argv, self._tools.limits())
            if (ended := ended_error(finished)) is not None:
                raise ended
            if finished.returncode != 0:
                raise ToolFailed("the tool failed", {"stderr": finished.stderr_tail[-500:]})
        return size

    def _misbehave(self, asked: Mapping[str, str]) -> None:
        if asked.get("kill") == "worker":
            time.sleep(0.5)  # what came with it may end before it
            os.kill(os.getpid(), signal.SIGKILL)
        if "raise" in asked:
            raise getattr(builtins, asked["raise"])
        if asked.get("fail") == "sometimes" and self._leased.job.attempt < 2:
            raise NetworkError("the first try fails")
        if asked.get("fail") in job_error_codes():
            raise job_error_codes()[asked["fail"]]("asked for")


def toolbox_of(machine: type[NotingMachine], effects: Effects) -> type[Toolbox]:
    """A toolbox whose attempts are run by such machines."""

    class NotingToolbox(Toolbox):
        def machine(
            self, leased: LeasedJob, folder: Path, need: ResourceNeed, exchange: Exchange
        ) -> NotingMachine:
            return machine(effects, self, leased, folder, need, exchange)

    return NotingToolbox


class StuckHeartbeat(Heartbeat):
    """Hangs three seconds after it was made."""

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
    if asked.stuck:
        timings = replace(timings, watchdog_patience_looks=3)
    machine = TracedMachine if asked.real else ScriptedMachine
    return app.main(
        partial(
            build,
            timings=timings,
            attempt_factory=toolbox_of(machine, Effects(asked.effects)),
            heartbeat=StuckHeartbeat if asked.stuck else Heartbeat,
        )
    )


def read_effects(path: Path) -> list[dict[str, Any]]:
    """Every line of the log."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
