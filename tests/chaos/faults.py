"""The faults, one function each. They take a world and a random generator.

Each returns for how many seconds the fault lasts after the return, or None when it met no target.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import redis

from tests.chaos.disk import Disk, may_throttle
from tests.chaos.world import Process, World

Fault = Callable[[World, random.Random], float | None]


def kill_a_worker(world: World, chance: random.Random) -> float | None:
    return _signalled(_at_work(world.mortal(world.workers), chance), signal.SIGKILL)


def kill_a_worker_with_its_guards(world: World, chance: random.Random) -> float | None:
    """All at the same moment, so that no process is left that watches the tools."""
    worker = _at_work(world.mortal(world.workers), chance)
    guards = _guards(worker)
    if not guards:
        return None
    with contextlib.suppress(psutil.Error):
        for process in (psutil.Process(worker.popen.pid), *guards):
            process.kill()
    return 0.0


def drain_a_worker(world: World, chance: random.Random) -> float | None:
    worker = _at_work(world.mortal(world.workers), chance)
    hit = _signalled(worker, signal.SIGTERM)
    if chance.random() < 0.3:
        time.sleep(chance.random())
        worker.signal(chance.choice([signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL]))
    return hit


def stop_a_worker_for_a_while(world: World, chance: random.Random) -> float | None:
    """Often longer than its leases: when it continues, another worker holds its jobs."""
    lease = world.lease_seconds
    shorter, longer = chance.uniform(1.0, lease), chance.uniform(lease + 1.0, 1.5 * lease + 8.0)
    seconds = chance.choice([shorter, longer])
    return _frozen(_at_work(world.workers, chance), seconds)


def stop_an_api_for_a_while(world: World, chance: random.Random) -> float | None:
    """The kernel still accepts its connections, and no request gets a response."""
    return _frozen(chance.choice(world.apis), chance.uniform(1.0, 8.0))


def kill_an_api(world: World, chance: random.Random) -> float | None:
    return _signalled(chance.choice(world.mortal(world.apis)), signal.SIGKILL)


def drain_an_api(world: World, chance: random.Random) -> float | None:
    return _signalled(chance.choice(world.mortal(world.apis)), signal.SIGTERM)


def cut_every_connection(world: World, chance: random.Random) -> float | None:
    """Also connections that only listen."""
    cut = 0
    for _ in range(chance.randint(1, 5)):
        cut += cut_once(world)
        time.sleep(0.1)
    return 0.0 if cut else None


def cut_once(world: World) -> int:
    """Cut every connection; how many there were."""
    cut = 0
    for server in world.servers:
        for kind in ("normal", "pubsub"):
            with contextlib.suppress(redis.RedisError), server.client() as client:
                cut += client.client_kill_filter(_type=kind, skipme=True)
    return cut


def pause_the_server(world: World, chance: random.Random) -> float | None:
    seconds = chance.uniform(0.2, 4.0)
    with contextlib.suppress(redis.RedisError), world.valkey.client() as client:
        client.client_pause(int(seconds * 1000))
        return seconds
    return None


def stop_the_server_for_a_while(world: World, chance: random.Random) -> float | None:
    """It sends nothing, not even that a connection is closed."""
    pid = world.valkey.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(chance.uniform(1.0, 5.0))
    os.kill(pid, signal.SIGCONT)
    return 0.0


def kill_the_server(world: World, chance: random.Random) -> float | None:
    """Mostly it is back soon; sometimes the leases expire meanwhile."""
    seconds = chance.uniform(0.1, 4.0) if chance.random() < 0.8 else world.lease_seconds * 2
    world.valkey.kill()
    time.sleep(seconds)
    world.valkey.start()
    return 0.0


def lose_every_message(world: World, chance: random.Random) -> float | None:
    """A worker with a free slot takes a message at once, so workers are stopped until one waits."""
    end = time.monotonic() + chance.uniform(0.5, 1.5)
    lost = 0
    with _held(world.workers):
        while not lost and time.monotonic() < end:
            lost = _delete_messages(world)
            time.sleep(0.02)
    return 0.0 if lost else None


def _delete_messages(world: World) -> int:
    """Delete all messages; how many there were."""
    lost = 0
    with contextlib.suppress(redis.RedisError), world.broker.client() as client:
        for name in client.scan_iter("clipmill:celery:*"):
            lost += client.llen(name) if client.type(name) == b"list" else 0
            client.delete(name)
    return lost


def kill_the_broker(world: World, chance: random.Random) -> float | None:
    """The broker starts again without messages."""
    world.broker.kill()
    time.sleep(chance.uniform(0.1, min(15.0, 2.0 * world.lease_seconds)))
    world.broker.start()
    return 0.0


def hang_a_link(world: World, chance: random.Random) -> float | None:
    """The link of an API or of a worker."""
    link = chance.choice(world.links)
    if not link.is_used:
        return None
    seconds = chance.uniform(1.0, world.lease_seconds + 8.0)
    link.hang()
    threading.Timer(seconds, link.heal).start()
    return seconds


def lose_answers(world: World, chance: random.Random) -> float | None:
    """The store does what an API or a worker asked for, and its answer is lost."""
    process = chance.choice([*world.apis, *[_at_work(world.workers, chance)] * 3])
    link = world.link_of(process)
    before, seconds = link.lost, chance.uniform(2.0, 10.0)
    link.lose_answers()
    heal = threading.Timer(seconds, link.heal)
    heal.start()
    end = time.monotonic() + seconds
    while link.lost == before and time.monotonic() < end:
        time.sleep(0.02)
    return max(0.0, end - time.monotonic()) if link.lost > before else None


def kill_a_guard(world: World, chance: random.Random) -> float | None:
    """As the kernel may do when memory runs out."""
    return _killed(_guards(_at_work(world.workers, chance)), chance)


def kill_a_tool(world: World, chance: random.Random) -> float | None:
    tools: list[psutil.Process] = []
    for guard in _guards(_at_work(world.workers, chance)):
        with contextlib.suppress(psutil.Error):
            tools += guard.children(recursive=True)
    return _killed(tools, chance)


def fill_the_disk(world: World, chance: random.Random) -> float | None:
    """Leave no free space for seconds."""
    seconds = chance.uniform(1.0, 8.0)
    _disk(world.disk).fill(seconds)
    return seconds


def close_a_folder(world: World, chance: random.Random) -> float | None:
    """Make a folder read-only."""
    folder = world.data / chance.choice(["artifacts", "work"])
    seconds = chance.uniform(1.0, 8.0)
    _disk(world.disk).close(folder, seconds)
    return seconds


def slow_a_disk(world: World, chance: random.Random) -> float | None:
    seconds = chance.uniform(2.0, 10.0)
    chance.choice(world.disks).slow(chance.choice([20_000, 200_000]), seconds)
    return seconds


def hang_a_disk(world: World, chance: random.Random) -> float | None:
    seconds = chance.uniform(1.0, 8.0)
    chance.choice(world.disks).hang(seconds)
    return seconds


def fill_the_store_s_disk(world: World, chance: random.Random) -> float | None:
    """The server ends, since it must not confirm a write that is not on disk."""
    _disk(world.store_disk).fill(60.0)
    time.sleep(chance.uniform(1.0, 4.0))
    _disk(world.store_disk).heal()
    world.valkey.kill()
    world.valkey.start()
    return 0.0


# How often each fault comes, compared with the others.
FAULTS: dict[Fault, int] = {
    kill_a_worker: 3,
    kill_a_worker_with_its_guards: 1,
    drain_a_worker: 2,
    stop_a_worker_for_a_while: 3,
    stop_an_api_for_a_while: 1,
    stop_the_server_for_a_while: 1,
    kill_a_guard: 1,
    kill_a_tool: 1,
    kill_an_api: 1,
    drain_an_api: 1,
    cut_every_connection: 1,
    pause_the_server: 1,
    kill_the_server: 1,
    lose_every_message: 1,
    hang_a_link: 3,
    lose_answers: 3,
}
# These faults need a disk of the world.
DISK_FAULTS: dict[Fault, int] = {
    fill_the_disk: 2,
    close_a_folder: 1,
    hang_a_disk: 1,
    fill_the_store_s_disk: 1,
}
# This fault also needs a kernel that can throttle the disk.
SLOW_FAULTS: dict[Fault, int] = {slow_a_disk: 1}
# This fault needs a broker that may lose all messages.
BROKER_FAULTS: dict[Fault, int] = {kill_the_broker: 2}


def possible_faults(world: World) -> dict[Fault, int]:
    """The faults that are possible on this machine."""
    possible = FAULTS | (DISK_FAULTS if world.disks else {})
    possible |= SLOW_FAULTS if world.disks and may_throttle() else {}
    return possible | (BROKER_FAULTS if world.broker is not world.valkey else {})


def left_out(world: World) -> list[str]:
    """The faults for which this machine lacks something."""
    missing = (DISK_FAULTS | SLOW_FAULTS).keys() - possible_faults(world).keys()
    return sorted(fault.__name__ for fault in missing)


def _at_work(workers: Sequence[Process], chance: random.Random) -> Process:
    """A worker that holds a job, if there is one."""
    busy = [worker for worker in workers if _guards(worker)]
    return chance.choice(busy or workers)


def _guards(worker: Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(worker.popen.pid).children()
        return [child for child in children if "worker.process.guard" in " ".join(child.cmdline())]
    return []


def _disk(disk: Disk | None) -> Disk:
    assert disk is not None  # the table has the fault only where there is a disk
    return disk


def _signalled(process: Process, number: int) -> float | None:
    return 0.0 if process.signal(number) else None


def _killed(processes: Sequence[psutil.Process], chance: random.Random) -> float | None:
    """Kill one of the processes, if it still exists."""
    with contextlib.suppress(psutil.Error):
        if processes:
            chance.choice(processes).kill()
            return 0.0
    return None


def _frozen(process: Process, seconds: float) -> float | None:
    """Stop a process with the child processes of an API; it continues by itself."""
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(process.popen.pid)
        guards = _guards(process)
        parts = [top, *(part for part in top.children() if part not in guards)]
        for part in parts:
            part.suspend()
        threading.Timer(seconds, _go_on, [parts]).start()
        return seconds
    return None


@contextlib.contextmanager
def _held(processes: Sequence[Process]) -> Iterator[None]:
    """Stop processes for the block; their guards and tools continue."""
    held: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            top = psutil.Process(process.popen.pid)
            top.suspend()
            held.append(top)
    try:
        yield
    finally:
        _go_on(held)


def _go_on(parts: Sequence[psutil.Process]) -> None:
    for part in parts:
        with contextlib.suppress(psutil.Error):
            part.resume()
