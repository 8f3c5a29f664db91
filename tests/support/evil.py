"""A tool that misbehaves, one way a command: `python evil.py <way> [arguments]`.

Standard library only; it runs under the supervisor and not under the tests' interpreter paths.
Every process that is left over ends by itself after `LIFE_SECONDS`, also after a failed test.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import sys
import time
from pathlib import Path

LIFE_SECONDS = 60
MEGABYTE = 1024 * 1024
PIDS = Path("pids")  # where hidden processes write their pids, one a line


def say(line: str) -> None:
    print(line, flush=True)


def ignore_signals() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def note_pid() -> None:
    with PIDS.open("a") as file:
        file.write(f"{os.getpid()}\n")


def hide(times: int) -> None:
    """Double-fork this many processes into sessions of their own."""
    for _ in range(times):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                ignore_signals()
                note_pid()
                time.sleep(LIFE_SECONDS)
            os._exit(0)
        os.wait()
    while not PIDS.exists() or len(PIDS.read_text().splitlines()) < times:
        time.sleep(0.005)


def scatter(times: str = "3") -> None:
    """Hide some processes and go on."""
    hide(int(times))
    ignore_signals()
    note_pid()
    say("ready")
    time.sleep(LIFE_SECONDS)


def desert(times: str = "3") -> None:
    """Hide some processes and end with status 0."""
    hide(int(times))


def hydra(heads: str = "4") -> None:
    """Processes that fork a successor in its own session and end, again and again."""
    ends = time.monotonic() + LIFE_SECONDS
    for _ in range(int(heads)):
        if os.fork() == 0:
            ignore_signals()
            while time.monotonic() < ends:
                if os.fork() != 0:
                    os._exit(0)
                os.setsid()
            os._exit(0)
    ignore_signals()
    note_pid()
    say("ready")
    time.sleep(LIFE_SECONDS)


def crowd(size: str) -> None:
    """Start this many idle children."""
    for _ in range(int(size)):
        if os.fork() == 0:
            time.sleep(LIFE_SECONDS)
            os._exit(0)
    ignore_signals()
    say("ready")
    time.sleep(LIFE_SECONDS)


def babble() -> None:
    """A hidden child that writes output without end."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note_pid()
            ends = time.monotonic() + LIFE_SECONDS
            while time.monotonic() < ends:
                os.write(1, b"blah\n" * 1000)
        os._exit(0)
    time.sleep(LIFE_SECONDS)


def flood_stderr(size: str) -> None:
    chunk = b"x" * MEGABYTE
    for _ in range(int(size) // MEGABYTE):
        os.write(2, chunk)
    os.write(2, b"the end")


def long_line(size: str) -> None:
    """One line of stdout without an end, then a short one."""
    os.write(1, b"a")
    for _ in range(int(size) // MEGABYTE):
        sys.stdout.write("x" * MEGABYTE)
    say("\nshort")


def allocate(megabytes: str, processes: str = "1") -> None:
    """Touch private memory in each of several processes."""
    for _ in range(int(processes) - 1):
        if os.fork() == 0:
            break
    try:
        held = bytearray(os.urandom(1024)) * (int(megabytes) * 1024)
    except MemoryError:
        say("MemoryError")
        sys.exit(7)
    say(f"held {len(held)}")
    time.sleep(LIFE_SECONDS)


def share(megabytes: str, processes: str, seconds: str) -> None:
    """Touch shared anonymous memory, the same in each of several processes."""
    size = int(megabytes) * MEGABYTE
    held = mmap.mmap(-1, size)
    children = []
    for _ in range(int(processes) - 1):
        child = os.fork()
        if child == 0:
            break
        children.append(child)
    for at in range(0, size, mmap.PAGESIZE):
        held[at] = 1
    time.sleep(float(seconds))
    for child in children:
        os.waitpid(child, 0)


def write_files() -> None:
    """Write file after file, in nested folders, without end."""
    folder = Path("deep")
    for number in range(10_000):
        folder.mkdir(exist_ok=True)
        (folder / f"file{number}").write_bytes(b"x" * MEGABYTE)
        folder = folder / "deeper" if number % 10 == 0 and number < 100 else folder
        time.sleep(0.005)


def write_unlinked() -> None:
    """Write without end to a file that no folder lists."""
    with Path("hidden").open("wb", buffering=0) as file:
        Path("hidden").unlink()
        for _ in range(10_000):
            file.write(b"x" * MEGABYTE)
            time.sleep(0.005)


def dig() -> None:
    """Nest folders until no path reaches the last, and write a file there."""
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    Path("deep").write_bytes(b"x")
    time.sleep(LIFE_SECONDS)


def burn(seconds: str) -> None:
    """Use the processor for this long, in this process and in a child that is not waited for."""
    child = os.fork()
    ends = time.process_time() + float(seconds)
    while time.process_time() < ends:
        pass
    if child:
        say("burnt")


def tidy(seconds: str) -> None:
    """On TERM, take this long to write a last line."""

    def finish(*_: object) -> None:
        time.sleep(float(seconds))
        Path("tidied").touch()
        sys.exit(3)

    signal.signal(signal.SIGTERM, finish)
    say("ready")
    time.sleep(LIFE_SECONDS)


def pause() -> None:
    """Stop itself, so that TERM waits until it is continued."""
    os.kill(os.getpid(), signal.SIGSTOP)


def chat(lines: str, every_seconds: str) -> None:
    """Write this many lines, then nothing."""
    for number in range(int(lines)):
        say(f"line {number}")
        time.sleep(float(every_seconds))
    time.sleep(LIFE_SECONDS)


def look() -> None:
    """Print what a tool sees of its environment."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    seen = {
        "environment": dict(os.environ),
        "descriptors": sorted(int(fd.name) for fd in Path("/proc/self/fd").iterdir())[:-1],
        "ignored_signals": int(fields["SigIgn"], 16),
        "no_new_privileges": fields["NoNewPrivs"] == "1",
        "session": os.getsid(0),
        "group": os.getpgrp(),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "folder": str(Path.cwd()),
        "stdin": sys.stdin.read(),
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
    }
    say(json.dumps(seen))


WAYS = (
    *(scatter, desert, hydra, crowd, babble, flood_stderr, long_line, allocate, share),
    *(write_files, write_unlinked, dig, burn, tidy, pause, chat, look),
)

if __name__ == "__main__":
    {way.__name__: way for way in WAYS}[sys.argv[1]](*sys.argv[2:])
