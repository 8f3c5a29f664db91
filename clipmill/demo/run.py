"""Runs the demonstration from the first frame to the last fetched clip."""

from __future__ import annotations

import ipaddress
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from clipmill.client import Client
from clipmill.client.answers import Batch, Job
from clipmill.client.errors import ClientError, JobNotSucceeded
from clipmill.demo.memory import MemoryWatch
from clipmill.demo.site import running_site
from clipmill.demo.video import make_video
from clipmill.stack.services import Stack, running_stack
from clipmill.stack.supervisor import StackError
from clipmill.terminal.follow import follow_batch, follow_job
from clipmill.terminal.screen import open_screen
from config.settings import PREFIX, load_settings, process_environment

# A source from the internet may be of any size; the demonstration needs no large file.
DOWNLOAD_QUALITY = "720p"


@dataclass(frozen=True)
class Plan:
    """What the demonstration should do; without a `url` it makes its own video."""

    url: str | None
    mode: str
    seconds: float
    clips: int
    clip_seconds: float
    output: Path


@dataclass(frozen=True)
class Clip:
    """One clip; `path` is its file, None if the job failed."""

    job: Job
    path: Path | None


@dataclass(frozen=True)
class Report:
    """What was made and what it cost."""

    clips: tuple[Clip, ...]
    wall_seconds: float
    peak_memory_bytes: int
    folder: Path

    @property
    def succeeded(self) -> bool:
        return all(clip.path for clip in self.clips)


class DemoFailed(Exception):
    """The demonstration could not be run to its end; the message says why."""


def run_demo(plan: Plan, console: Console) -> Report:
    """Make or use the source, start everything, cut, fetch, stop. Only the clips remain.

    Raises DemoFailed, StackError, ClientError or NoVideo.
    """
    with (
        tempfile.TemporaryDirectory(prefix="clipmill-demo-") as name,
        source(plan, folder := Path(name), console) as url,
    ):
        environ = demo_environment(folder / "data", networks_of(url))
        console.print("Starting broker, API and worker …")
        with stack_in(folder, environ) as stack, Client(stack.url) as client:
            return cut(plan, stack, client, url, console)


@contextmanager
def source(plan: Plan, folder: Path, console: Console) -> Iterator[str]:
    """The URL to cut: the user's, or a page of our own as long as the block lasts."""
    if plan.url:
        yield plan.url
        return
    started_at = time.monotonic()
    console.print(f"Making a video of {plan.seconds:g} s, 1280x720 at 25 frames a second …")
    video = folder / "video.mp4"
    make_video(video, plan.seconds)
    size = video.stat().st_size / 1e6
    console.print(f"  {size:.0f} MB in {time.monotonic() - started_at:.1f} s")
    with running_site(video) as url:
        yield url


def demo_environment(data_dir: Path, allowed_networks: str) -> dict[str, str]:
    """This process's environment, with the demonstration's settings instead of the user's."""
    ours = {
        "DATA_DIR": str(data_dir),
        "PORT": "0",
        "ALLOWED_NETWORKS": allowed_networks,
        "LOG_FORMAT": "text",
    }
    kept = {
        name: value for name, value in process_environment().items() if not name.startswith(PREFIX)
    }
    return kept | {PREFIX + name: value for name, value in ours.items()}


def networks_of(url: str) -> str:
    """The addresses behind the URL that are not public, in the form of the setting.

    A user who types a URL of their own network wants it to be read. All other private addresses
    stay closed to the workers.
    """
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the job reports the reason better than we could
        return ""
    addresses = {ipaddress.ip_address(str(item[4][0]).split("%")[0]) for item in found}
    return ",".join(sorted(str(address) for address in addresses if not address.is_global))


@contextmanager
def stack_in(folder: Path, environ: Mapping[str, str]) -> Iterator[Stack]:
    """The running stack, its output in files of the folder.

    Raises DemoFailed with the last lines of these files when the stack or its API fails. A job that
    fails has its own reason.
    """
    try:
        with running_stack(
            load_settings(environ), environ, log_folder=folder, leftovers=[folder]
        ) as stack:
            yield stack
    except JobNotSucceeded:
        raise
    except (StackError, ClientError) as error:
        raise DemoFailed(f"{error}\n{last_lines(folder)}") from error


def last_lines(folder: Path, count: int = 15) -> str:
    """The last log lines of API and worker."""
    parts = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-count:]
        parts += [f"--- {log.name}", *lines]
    return "\n".join(parts)


def cut(plan: Plan, stack: Stack, client: Client, url: str, console: Console) -> Report:
    """Submit the batch, show its progress to its end, fetch its clips."""
    spec, seconds = {"url": url}, plan.seconds
    if plan.url:
        spec, seconds = download_first(client, url, console)
    defaults = {"kind": "clip", "source": spec, "mode": plan.mode}
    console.print(f"Cutting {plan.clips} clips of {plan.clip_seconds:g} s, mode {plan.mode} …")
    started_at = time.monotonic()
    with MemoryWatch(stack.supervisor.pids) as memory, open_screen(console) as screen:
        batch = client.submit_batch(clip_ranges(plan, seconds), defaults)
        batch = follow_batch(client, batch.id, screen)
        wall_seconds = time.monotonic() - started_at
    clips = fetch_clips(client, batch, plan.output)
    return Report(clips, wall_seconds, memory.peak_bytes, plan.output)


def download_first(client: Client, url: str, console: Console) -> tuple[dict[str, str], float]:
    """Download a source of unknown length before it is cut. Returns the source and its seconds."""
    console.print(f"Downloading {url} …", markup=False)
    job = client.submit("download", url, quality=DOWNLOAD_QUALITY)
    with open_screen(console) as screen:
        job = follow_job(client, job.id, screen)
    if not job.succeeded:
        raise JobNotSucceeded(job)
    seconds = job.artifacts[0].document.get("duration_seconds")
    if not seconds:
        raise DemoFailed(f"{url} is of unknown length")
    return {"job_id": job.id}, float(seconds)


def clip_ranges(plan: Plan, seconds: float) -> list[dict[str, float]]:
    """Ranges spread evenly over the source; the last range ends with the source."""
    length = min(plan.clip_seconds, seconds)
    step = (seconds - length) / max(1, plan.clips - 1)
    starts = [round(number * step, 3) for number in range(plan.clips)]
    return [{"start": start, "end": round(start + length, 3)} for start in starts]


def fetch_clips(client: Client, batch: Batch, folder: Path) -> tuple[Clip, ...]:
    """Every clip that succeeded, as `clip-01.mp4` and so on."""
    clips = []
    for number, job in enumerate(batch.jobs, start=1):
        path = None
        if job.succeeded:
            main = job.artifacts[0]
            name = f"clip-{number:02}{Path(main.name).suffix}"
            path = client.download(main, folder, name=name)
        clips.append(Clip(job, path))
    return tuple(clips)
