"""A stack of the real broker and two stand-in services, run as a program of its own.

`python -m tests.support.stand_in_stack FOLDER` prints one JSON object of names and process ids
when all is ready, and runs until it is stopped. The `worker` ignores SIGTERM and so does the
process that it started; the `api` stops when asked and records that in FOLDER/stopped.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from clipmill.stack.processes import Command, stop_signals_interrupt
from clipmill.stack.service import Service
from clipmill.stack.supervisor import Supervisor, folder_lock
from clipmill.stack.valkey import SOCKET_NAME, answers, valkey_command
from config.settings import process_environment

POLITE = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path("stopped").touch(), sys.exit(0)))
pathlib.Path("ready").touch()
while True:
    signal.pause()
"""
STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
pathlib.Path("grandchild.new").write_text(str(grandchild.pid))
os.replace("grandchild.new", "grandchild")
time.sleep(600)
"""  # noqa: E501


def services(folder: Path) -> list[Service]:
    environ = process_environment()
    broker = valkey_command(folder, folder / SOCKET_NAME, environ)
    worker = Command([sys.executable, "-c", STUBBORN], environ, folder=folder)
    api = Command([sys.executable, "-c", POLITE], environ, folder=folder)
    return [
        Service("broker", lambda: broker, lambda: answers(folder / SOCKET_NAME), 5.0),
        Service("worker", lambda: worker, (folder / "grandchild").exists, 0.5),
        Service("api", lambda: api, (folder / "ready").exists, 5.0),
    ]


def main(folder: Path) -> None:
    with (
        stop_signals_interrupt(),
        folder_lock(folder) as lock,
        Supervisor(
            services(folder), stop_order=("api", "worker", "broker"), lock=lock
        ) as supervisor,
    ):
        names = ("broker", "worker", "api", "guard")
        pids = dict(zip(names, supervisor.pids(), strict=True))
        pids["grandchild"] = int((folder / "grandchild").read_text())
        print(json.dumps(pids), flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
