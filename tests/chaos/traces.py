"""What a system leaves on its machine while it runs and after its end: I3, I4, I6 and I7."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import psutil

from clipmill.demo.memory import Sampler, process_bytes
from tests.chaos.world import Process, World

SAMPLE_SECONDS = 2.0
OVER_BY = 1.05  # for one sample at most
# Pools keep a connection for each thread that once needed one. For the store these are four threads
# that run jobs and four others, for the messages ten of Celery, each with a poll. Some are open
# already after a calm start.
MORE_CONNECTIONS = Counter({"socket": 16, "anon_inode:[eventpoll]": 10})
# What a process may open after the middle of a storm, when its pools are about full; far less than
# one for each fault that it meets from then on.
LATE_CONNECTIONS = 5
MANY_FAULTS = 30  # enough for this comparison
Kinds = Counter[str]


class MemoryWatch(Sampler):
    """Samples the memory of each worker with all its tools, every two seconds."""

    def __init__(self, world: World, budget_bytes: int) -> None:
        super().__init__(SAMPLE_SECONDS)
        self._world = world
        self._budget_bytes = budget_bytes
        self.peak_bytes = 0
        self.samples = 0
        self.faults: list[str] = []
        self._over: Counter[int] = Counter()

    def look(self) -> None:
        """Sample each worker; two samples in a row above its budget are a fault."""
        for number, worker in enumerate(self._world.workers):
            used = sum(map(process_bytes, tree_of(worker)))
            self.peak_bytes = max(self.peak_bytes, used)
            self._over[number] += 1
            if used <= self._budget_bytes * OVER_BY:
                self._over[number] = 0
            elif self._over[number] > 1:
                self.faults.append(f"I4 worker {number} with its tools holds {used} bytes")
        self.samples += 1


def tree_of(process: Process) -> list[psutil.Process]:
    """A process and all its descendants."""
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(process.popen.pid)
        return [top, *top.children(recursive=True)]
    return []


def descriptors(world: World) -> list[Kinds]:
    """Descriptors by kind of every API and worker with their descendants, in order."""
    return [_descriptors_of(process, world.data / "work") for process in world.everyone]


def _descriptors_of(process: Process, work: Path) -> Kinds:
    return sum((_open_in(part.pid, work) for part in tree_of(process)), Counter())


def _open_in(pid: int, work: Path) -> Kinds:
    kinds: Kinds = Counter()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = descriptor.readlink()
                # A worker keeps its own folder open, whose name changes with a restart.
                kinds["own folder" if target.parent == work else _kind(str(target))] += 1
    return kinds


def _kind(target: str) -> str:
    """`socket:[123]` is a socket, `pipe:[5]` a pipe; all else is its own kind."""
    return target.split(":[")[0] if target.startswith(("socket:", "pipe:")) else target


def grown(before: Kinds, after: Kinds) -> dict[str, int]:
    """Kinds of descriptors that have become more than they may."""
    allowed = before + MORE_CONNECTIONS
    return {kind: count for kind, count in after.items() if count > allowed[kind]}


@dataclass(frozen=True)
class Look:
    """What each process itself had open at one time, by its id."""

    faults: int  # how many had struck
    counts: Mapping[int, Kinds]


def look_at(world: World, faults: int) -> Look:
    """A look at each process now, without its tools, whose number varies."""
    work = world.data / "work"
    pids = [process.popen.pid for process in world.everyone]
    return Look(faults, {pid: _open_in(pid, work) for pid in pids})


def creeping(looks: Sequence[Look], last: Look) -> list[str]:
    """Processes that hold more connections at the end than in the middle of a storm.

    A leak grows with the faults; a pool does not grow after some of them. The middle is the median
    of many looks, since some looks meet a moment of many retries.
    """
    if last.faults < MANY_FAULTS:
        return []
    middle = [it for it in looks if last.faults * 3 <= it.faults * 8 <= last.faults * 5]
    found = []
    for pid, now in last.counts.items():
        seen = [it.counts[pid] for it in middle if pid in it.counts]
        for kind in MORE_CONNECTIONS if len(seen) == len(middle) > 0 else ():
            then = median_low(counts[kind] for counts in seen)
            if now[kind] > then + LATE_CONNECTIONS:
                found.append(f"I3 process {pid} had {then} of {kind}, and has {now[kind]}")
    return found


def leaks(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """The texts that hold a secret."""
    return [
        f"I6 {name} tells {secret}"
        for name, text in texts.items()
        for secret, value in secrets.items()
        if value in text
    ]


def secret_faults(world: World, documents: Mapping[str, Any], stories: Any) -> list[str]:
    """A key or a token in a log, in the metrics or in the timeline of a job.

    A job's source and what its site says about it belong to the job's owner, who may read them.
    """
    texts = {path.name: path.read_text(errors="replace") for path in world.folder.glob("*.log")}
    for path in ("/metrics", "/health", "/api/v2/system/bottleneck"):
        answer = world.ask("GET", path)
        texts[path] = answer.text if answer is not None else ""
    texts["the stories"] = json.dumps(stories)
    texts["the records"] = json.dumps(
        [
            {k: v for k, v in job.items() if k not in {"spec", "result"}}
            for job in documents.values()
        ]
    )
    return leaks(texts, {"the API key": world.key, "the token of a URL": world.token})


def living_faults(world: World, before: list[Kinds]) -> list[str]:
    """What must not exist in an idle system that still runs."""
    return [
        *(f"I3 a stranger lives: {line}" for line in world.strangers()),
        *(f"I3 a folder is left: {path}" for path in (world.data / "work").glob("*/*")),
        *(f"I3 a zombie: {name}" for name in _zombies(world)),
        *_ownerless(world),
        *_grown(world, before),
    ]


def _zombies(world: World) -> Iterator[str]:
    for process in world.everyone:
        for part in tree_of(process):
            with contextlib.suppress(psutil.Error):
                if part.status() == psutil.STATUS_ZOMBIE:
                    yield f"{part.pid} of {part.ppid()}"


def _ownerless(world: World) -> list[str]:
    """Folders of no worker: each worker has one, and there is no other."""
    folders = list((world.data / "work").iterdir())
    return [f"I3 {len(folders)} folders of 3 workers"] if len(folders) > 3 else []


def _grown(world: World, before: list[Kinds]) -> list[str]:
    found = zip(world.everyone, before, descriptors(world), strict=True)
    return [
        f"I3 descriptors of {process.popen.args}: {more}"
        for process, old, new in found
        if (more := grown(old, new))
    ]


def strays(world: World) -> list[str]:
    """Files where none may be, after the end of the system."""
    kept = world.data / "artifacts"
    known = {world.data / "work", kept}
    places = [path for folder in world.forbidden for path in folder.iterdir()]
    places += [path for path in world.data.iterdir() if path not in known]
    places += list((world.data / "work").iterdir())
    places += [path for path in kept.rglob("*") if path.is_file() and len(path.name) < 26]
    return [f"I7 stray: {path}" for path in places]


def settled(look: Any, within_seconds: float) -> list[str]:
    """Repeat a look until it finds nothing; what it still finds at the end of the time."""
    end = time.monotonic() + within_seconds
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.2)
    return list(found)
