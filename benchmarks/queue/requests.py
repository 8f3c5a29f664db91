"""Requests per second, with wrk: polls of a job, health, submissions."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.numbers import NONE, milliseconds, ratio
from benchmarks.part import Sheet
from benchmarks.stack import System
from clipmill.stack.processes import run_tool

CONNECTIONS = 32
SUBMIT_SCRIPT = Path(__file__).with_name("submit.lua")
# What the earlier platform published about itself, measured on its own machine.
PUBLISHED = {"/": 1090.0, "/api/v2/system/health": 758.0, "/api/v2/auth/status": 1503.0}
UNIT_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Load:
    """The figures of wrk. `refused` answers are no 2xx or 3xx; a row that has any is not valid."""

    title: str
    per_second: float
    median_seconds: float
    p99_seconds: float
    refused: int
    published_per_second: float | None


def run_requests(system: System, job_id: str, seconds: int) -> list[Load]:
    """Every row that can be measured: none without wrk, none for a route that does not exist."""
    if shutil.which("wrk") is None:
        return []
    rows: list[tuple[str, str, float | None]] = [
        ("poll of a job", f"/api/v2/jobs/{job_id}", None),
        ("health", "/health", None),
    ]
    rows += [(f"GET {path}", path, published) for path, published in PUBLISHED.items()]
    loads = [
        read_output(title, wrk(system.url + path, seconds), published)
        for title, path, published in rows
        if httpx2.get(system.url + path, trust_env=False).is_success
    ]
    text = wrk(f"{system.url}/api/v2/jobs", seconds, "-s", str(SUBMIT_SCRIPT))
    return [*loads, read_output("submission of a job", text, None)]


def wrk(url: str, seconds: int, *more: str) -> str:
    """The report of wrk. One thread keeps its connections open and busy."""
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *more, url]
    done = run_tool(argv, timeout_seconds=seconds + 60)
    if done.status != 0:
        raise RuntimeError(f"wrk failed: {done.text}")
    return done.text


def read_output(title: str, text: str, published: float | None) -> Load:
    """The figures of a report."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    assert rate is not None, text
    return Load(
        title,
        float(rate[1]),
        latency_seconds(text, 50),
        latency_seconds(text, 99),
        int(refused[1]) if refused else 0,
        published,
    )


def absent_routes(loads: list[Load]) -> str:
    """Routes with a published figure that could not be measured; empty when there are none."""
    measured = {load.title for load in loads}
    return ", ".join(path for path in PUBLISHED if f"GET {path}" not in measured)


def latency_seconds(text: str, percent: int) -> float:
    match = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)$", text, re.MULTILINE)
    assert match is not None, text
    return float(match[1]) * UNIT_SECONDS[match[2]]


def requests_sheet(loads: list[Load]) -> Sheet:
    notes = [
        f"wrk, {CONNECTIONS} kept-alive connections, on the same cores as the system.",
        "Published: what the earlier FastAPI platform published about itself; other machine.",
        "Submissions are recorded and queued; no worker of this run serves their kind.",
    ]
    if absent := absent_routes(loads):
        notes.append(f"Left out, since this system has no such route: {absent}")
    if not loads:
        notes = ["Left out: wrk is not on the PATH (Debian: apt-get install wrk)."]
    return Sheet(
        "Requests",
        ("", "per second", "median ms", "p99 ms", "refused", "published", "ratio"),
        [_row(load) for load in loads],
        notes,
    )


def _row(load: Load) -> list[str]:
    published = load.published_per_second
    return [
        load.title,
        f"{load.per_second:,.0f}",
        milliseconds(load.median_seconds),
        milliseconds(load.p99_seconds),
        str(load.refused),
        f"{published:,.0f}" if published else NONE,
        ratio(load.per_second, published) if published else NONE,
    ]
