"""A small worker: runs one command under the supervisor and prints the result as JSON.

`python supervised.py OPTIONS FOLDER COMMAND...`; the options are JSON:
`subreaper` (true), `limits`, `companion_after` (start another process after this many seconds),
`beside` (a folder: run a good tool there at the same time), `starved` (retry with more and more
free descriptors until the command runs).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.process.orphans import become_subreaper
from worker.process.run import Limits, Stop, run_process


def main(options: dict[str, Any], folder: Path, argv: list[str]) -> None:
    if options.get("subreaper", True):
        become_subreaper()
    companions: list[subprocess.Popen[bytes]] = []
    if "companion_after" in options:
        start_companion(companions, options["companion_after"])
    before = descriptors()
    attempt = starved if options.get("starved") else run
    with ThreadPoolExecutor(1) as threads:
        beside = threads.submit(run_beside, options.get("beside"))
        answer = attempt(folder, argv, {"deadline_seconds": 30, **options.get("limits", {})})
        answer["beside"] = beside.result()
    answer["leaked"] = descriptors() - before
    for companion in companions:
        answer["companion_lives"] = companion.poll() is None
        companion.kill()
        companion.wait()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    print(json.dumps({**answer, "children": len(children)}), flush=True)


def start_companion(companions: list[subprocess.Popen[bytes]], delay_seconds: float) -> None:
    def start() -> None:
        companions.append(subprocess.Popen(["sleep", "60"]))

    if delay_seconds:
        threading.Timer(delay_seconds, start).start()
    else:
        start()
        time.sleep(0.05)  # the kernel records starts in ticks of 10 ms


def run(folder: Path, argv: list[str], limits: dict[str, Any]) -> dict[str, Any]:
    return asdict(run_process(argv, folder=folder, limits=Limits(**limits), stop=Stop()))


def run_beside(folder: str | None) -> dict[str, Any] | None:
    if folder is None:
        return None
    tool = ["sh", "-c", "sleep 3; touch done"]
    done = run(Path(folder), tool, {"deadline_seconds": 30})
    return {"end": done["end"], "returncode": done["returncode"]}


def starved(folder: Path, argv: list[str], limits: dict[str, Any]) -> dict[str, Any]:
    used = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for free in range(40):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, hard))
        try:
            return {**run(folder, argv, limits), "needed": free}
        except OSError:
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return {}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) - 1  # the listing itself has one descriptor


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
