"""A small worker: runs one command under the supervisor and prints the result as JSON.

`python supervised.py OPTIONS FOLDER COMMAND...`; the options are JSON: `subreaper` (true),
`companion` (start a process of its own first), `starved` (try with ever more free descriptors
until it works), `limits`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.process import Limits, Stop, run_process
from worker.sweep import become_subreaper


def main(options: dict[str, Any], folder: Path, argv: list[str]) -> None:
    if options.get("subreaper", True):
        become_subreaper()
    companion = subprocess.Popen(["sleep", "60"]) if options.get("companion") else None
    before = descriptors()
    attempt = starved if options.get("starved") else run
    answer = attempt(folder, argv, {"deadline_seconds": 30, **options.get("limits", {})})
    answer["leaked"] = descriptors() - before
    if companion:
        answer["companion_lives"] = companion.poll() is None
        companion.kill()
        companion.wait()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    print(json.dumps({**answer, "children": len(children)}), flush=True)


def run(folder: Path, argv: list[str], limits: dict[str, Any]) -> dict[str, Any]:
    return asdict(run_process(argv, folder=folder, limits=Limits(**limits), stop=Stop()))


def starved(folder: Path, argv: list[str], limits: dict[str, Any]) -> dict[str, Any]:
    used = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = 0
    while True:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + refused, hard))
        try:
            return {**run(folder, argv, limits), "refused": refused}
        except OSError:
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) - 1  # the listing itself has one open


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
