"""Checks whether Clipmill can work here by trying everything that it needs."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import deno
import httpx2
import imageio_ffmpeg
import psutil

from clipmill.local.keys import KeyRefused, read_keys
from clipmill.stack.processes import Output, run_tool
from clipmill.stack.service import Service
from clipmill.stack.supervisor import StackError, Supervisor, folder_lock
from clipmill.stack.valkey import SOCKET_NAME, answers, valkey_command
from config.machine import memory_limit_bytes
from config.memory import LEAST_BUDGET_BYTES, too_little
from config.settings import Settings, SettingsError, load_settings, process_environment
from config.values import GIB, MIB
from config.ytdlp import BUNDLED, program

TOOL_SECONDS = 60.0
OLD_TOOL_DAYS = 90  # sites change, and an old yt-dlp can no longer read them


@dataclass(frozen=True)
class Finding:
    """The result of one check; `level` is ok, warn or fail, and `remedy` says what to do."""

    name: str
    level: str
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Every check, one after the other; checks that need settings only when these are valid."""
    findings = [check_python(), check_ffmpeg(), check_deno()]
    environ = process_environment()
    try:
        settings = load_settings(environ)
    except SettingsError as error:
        remedy = "Correct these environment variables; config/example.env lists all settings."
        fault = Finding("settings", "fail", "; ".join(error.faults), remedy)
        return [fault, *findings, check_ytdlp(date.today(), BUNDLED)]
    findings.insert(0, Finding("settings", "ok", "all values are valid"))
    checks: tuple[Callable[[Settings], Finding], ...] = (
        check_folder, check_disk, check_memory, check_port, check_keys,
    )  # fmt: skip
    findings.append(check_ytdlp(date.today(), program(settings.data_dir)))
    findings += [check(settings) for check in checks]
    return [*findings, check_memory_groups(), check_broker(settings, environ)]


def check_python() -> Finding:
    """Reports the version only: a Python that is too old cannot import this file."""
    return Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))


def check_ffmpeg() -> Finding:
    """Encodes one frame, which needs the program, its codecs and its filters."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=1"]
    encode = ["-frames:v", "1", "-c:v", "libx264", "-f", "null", "-"]
    finding = _try_tool("ffmpeg", [ffmpeg, "-v", "error", "-nostdin", *source, *encode])
    if finding.level != "ok":
        return finding
    version = run_tool([ffmpeg, "-version"], timeout_seconds=TOOL_SECONDS).text.split()[2]
    return Finding("ffmpeg", "ok", f"{version} encodes")


def check_ytdlp(today: date, start: Sequence[str]) -> Finding:
    """Starts yt-dlp, by its command."""
    finding = _try_tool("yt-dlp", [*start, "--version"])
    age_days = age_of_version(finding.detail, today)
    if finding.level == "ok" and age_days is not None and age_days > OLD_TOOL_DAYS:
        detail = f"{finding.detail} is {age_days} days old"
        return Finding("yt-dlp", "warn", detail, "Update it: clipmill upgrade-tools")
    return finding


def age_of_version(text: str, today: date) -> int | None:
    """The days since a version such as 2026.8.19; None when it is no date."""
    try:
        return (today - datetime.strptime(text, "%Y.%m.%d").replace(tzinfo=UTC).date()).days
    except ValueError:
        return None


def check_deno() -> Finding:
    """The JavaScript runtime, without which some sites cannot be read."""
    finding = _try_tool("deno", [deno.find_deno_bin(), "--version"])
    if finding.level == "ok":
        return Finding("deno", "ok", finding.detail.splitlines()[0])
    return Finding("deno", "warn", finding.detail, finding.remedy)


def check_folder(settings: Settings) -> Finding:
    """Whether files can be written to the data folder, or to the place where it will be."""
    folder = nearest_folder(settings.data_dir)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"clipmill")
    except OSError as error:
        remedy = "Make the folder writable for this user, or set CLIPMILL_DATA_DIR to another."
        return Finding("data folder", "fail", str(error), remedy)
    return Finding("data folder", "ok", f"{folder} is writable")


def check_disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(nearest_folder(settings.data_dir)).free
    detail = f"{free / GIB:.1f} GiB free"
    remedy = "Free disk space, or set CLIPMILL_DATA_DIR to a folder on a larger disk."
    if free < settings.min_free_disk_bytes:
        return Finding("disk", "fail", f"{detail}: no job would be started", remedy)
    level = "warn" if free < settings.min_free_disk_bytes + 2 * GIB else "ok"
    return Finding("disk", level, detail, remedy if level == "warn" else "")


def nearest_folder(path: Path) -> Path:
    """The path or its nearest parent that exists: a check must not make folders."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_memory(settings: Settings) -> Finding:
    """Whether there is memory for the budget of the media tools and for all that runs beside."""
    beside, budget = settings.beside_tools_bytes, settings.memory_budget_bytes
    there = min(psutil.virtual_memory().available, memory_limit_bytes())
    detail = f"budget {budget // MIB} MiB, available {there // MIB} MiB"
    if there < beside + LEAST_BUDGET_BYTES:
        return Finding("memory", "fail", detail, too_little(there, beside))
    if budget + beside <= there:
        return Finding("memory", "ok", detail)
    remedy = f"Set CLIPMILL_MEMORY_BUDGET to {(there - beside) // MIB}MiB or less."
    return Finding("memory", "fail" if budget > there else "warn", detail, remedy)


def check_memory_groups() -> Finding:
    """Reports only: without groups the guard enforces the budget, measuring five times a second."""
    return _try_tool("memory groups", [sys.executable, "-m", "worker.process.cgroups"])


def check_port(settings: Settings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    try:
        family = socket.getaddrinfo(settings.host, settings.port)[0][0]
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((settings.host, settings.port))
    except OSError as error:
        if _is_ours(settings):
            return Finding("port", "ok", f"Clipmill answers on {address} already")
        remedy = "Stop the program that listens there, or set CLIPMILL_HOST and CLIPMILL_PORT."
        return Finding("port", "fail", f"{address}: {error}", remedy)
    return Finding("port", "ok", f"{address} is free")


def _is_ours(settings: Settings) -> bool:
    try:
        answer = httpx2.get(
            f"http://{settings.host}:{settings.port}/livez", timeout=3.0, trust_env=False
        )
    except (httpx2.RequestError, httpx2.InvalidURL):
        return False
    return answer.is_success


def check_keys(settings: Settings) -> Finding:
    path = settings.api_keys_file
    if path is None:
        return Finding("keys", "ok", "no key is needed: the API answers this machine alone")
    try:
        count = len(read_keys(path))
        open_to_others = path.stat().st_mode & 0o077
    except (OSError, KeyRefused) as error:
        remedy = f"Make a key: clipmill keys new me --file {path}"
        return Finding("keys", "fail", str(error), remedy)
    if open_to_others:
        return Finding("keys", "warn", f"other users may read {path}", f"chmod 600 {path}")
    if not count:
        return Finding("keys", "warn", f"{path} has no key", "Make a key: clipmill keys new me")
    return Finding("keys", "ok", f"{count} in {path}")


def check_broker(settings: Settings, environ: Mapping[str, str]) -> Finding:
    if settings.redis_url is None:
        return check_embedded_broker(environ)
    try:
        reach(settings.redis_url)
    except OSError as error:
        remedy = "Start that server, correct CLIPMILL_REDIS_URL, or unset it for an embedded one."
        return Finding("broker", "fail", str(error), remedy)
    try:
        reach(settings.broker_url or settings.redis_url)
    except OSError as error:
        remedy = "Start the message server, correct CLIPMILL_BROKER_URL, or unset it."
        return Finding("broker", "fail", str(error), remedy)
    return Finding("broker", "ok", "the server of CLIPMILL_REDIS_URL accepts connections")


def check_embedded_broker(environ: Mapping[str, str]) -> Finding:
    """Starts a Valkey server in an empty folder and stops it again."""
    with tempfile.TemporaryDirectory(prefix="clipmill-") as name:
        folder = Path(name)
        command = valkey_command(folder, folder / SOCKET_NAME, environ)
        service = Service("broker", lambda: command, lambda: answers(folder / SOCKET_NAME), 10.0)
        try:
            with (
                folder_lock(folder) as lock,
                Supervisor([service], stop_order=["broker"], lock=lock, start_seconds=15.0),
            ):
                return Finding("broker", "ok", "the embedded Valkey starts and answers")
        except (StackError, OSError) as error:
            remedy = "Set CLIPMILL_REDIS_URL to a Redis or Valkey server of your own."
            return Finding("broker", "fail", str(error), remedy)


def reach(redis_url: str) -> None:
    """Open and close a connection to the server. Raises OSError."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(parts.path)
        return
    socket.create_connection((parts.hostname or "localhost", parts.port or 6379), 5.0).close()


def _try_tool(name: str, argv: list[str]) -> Finding:
    remedy = "Install the locked packages again: make clean, then any make command."
    try:
        done: Output = run_tool(argv, timeout_seconds=TOOL_SECONDS)
    except OSError as error:
        return Finding(name, "fail", str(error), remedy)
    text = done.text.strip()
    if done.status != 0:
        return Finding(name, "fail", f"ended with status {done.status}: {text[-300:]}", remedy)
    return Finding(name, "ok", text)
