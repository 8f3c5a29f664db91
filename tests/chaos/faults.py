"""What can go wrong, one function each. They take a world and a source of chance."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence

import psutil
import redis

from tests.chaos.disk import Disk
from tests.chaos.world import Process, World

Fault = Callable[[World, random.Random], None]


def kill_a_worker(world: World, chance: random.Random) -> None:
    _at_work(world.mortal(world.workers), chance).signal(signal.SIGKILL)


def kill_a_worker_with_its_guards(world: World, chance: random.Random) -> None:
    """In one instant, so that nobody is left who watches the tools."""
    worker = _at_work(world.mortal(world.workers), chance)
    with contextlib.suppress(psutil.Error):
        for process in (psutil.Process(worker.popen.pid), *_guards(worker)):
            process.kill()


def drain_a_worker(world: World, chance: random.Random) -> None:
    worker = _at_work(world.mortal(world.workers), chance)
    worker.signal(signal.SIGTERM)
    if chance.random() < 0.3:
        time.sleep(chance.random())
        worker.signal(chance.choice([signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL]))


def stop_a_worker_for_a_while(world: World, chance: random.Random) -> None:
    """Often past its lease: when it goes on, its jobs are another's."""
    lease = world.lease_seconds
    shorter, longer = chance.uniform(1.0, lease), chance.uniform(lease + 1.0, 1.5 * lease + 8.0)
    seconds = chance.choice([shorter, longer])
    _frozen(_at_work(world.workers, chance), seconds)


def kill_an_api(world: World, chance: random.Random) -> None:
    chance.choice(world.mortal(world.apis)).signal(signal.SIGKILL)


def drain_an_api(world: World, chance: random.Random) -> None:
    chance.choice(world.mortal(world.apis)).signal(signal.SIGTERM)


def cut_every_connection(world: World, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 5)):
        with contextlib.suppress(redis.RedisError), world.valkey.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.1)


def pause_the_server(world: World, chance: random.Random) -> None:
    with contextlib.suppress(redis.RedisError), world.valkey.client() as client:
        client.client_pause(int(chance.uniform(200, 4000)))


def kill_the_server(world: World, chance: random.Random) -> None:
    """Most often it is back soon; sometimes the leases run out meanwhile."""
    seconds = chance.uniform(0.1, 4.0) if chance.random() < 0.8 else world.lease_seconds * 2
    world.valkey.kill()
    time.sleep(seconds)
    world.valkey.start()


def lose_every_message(world: World, chance: random.Random) -> None:
    with contextlib.suppress(redis.RedisError), world.broker.client() as client:
        for name in client.scan_iter("clipmill:celery:*"):
            client.delete(name)


def kill_the_broker(world: World, chance: random.Random) -> None:
    """It comes back empty."""
    world.broker.kill()
    time.sleep(chance.uniform(0.1, 15.0))
    world.broker.start()


def hang_a_link(world: World, chance: random.Random) -> None:
    link = chance.choice(world.links)
    link.hang()
    threading.Timer(chance.uniform(1.0, world.lease_seconds + 8.0), link.heal).start()


def lose_answers(world: World, chance: random.Random) -> None:
    """What a worker asked for was done, and it does not know."""
    link = world.links[world.workers.index(_at_work(world.workers, chance))]
    link.lose_answers()
    threading.Timer(chance.uniform(2.0, 10.0), link.heal).start()


def kill_a_guard(world: World, chance: random.Random) -> None:
    """As the kernel does when memory runs out."""
    with contextlib.suppress(psutil.Error, IndexError):
        chance.choice(_guards(_at_work(world.workers, chance))).kill()


def kill_a_tool(world: World, chance: random.Random) -> None:
    with contextlib.suppress(psutil.Error, IndexError):
        guard = chance.choice(_guards(_at_work(world.workers, chance)))
        chance.choice(guard.children(recursive=True)).kill()


def fill_the_disk(world: World, chance: random.Random) -> None:
    _disk(world.disk).fill(chance.uniform(1.0, 8.0))


def close_a_folder(world: World, chance: random.Random) -> None:
    """Nobody may write to it."""
    folder = world.data / chance.choice(["artifacts", "work"])
    _disk(world.disk).close(folder, chance.uniform(1.0, 8.0))


def slow_a_disk(world: World, chance: random.Random) -> None:
    chance.choice(world.disks).slow(chance.choice([20_000, 200_000]), chance.uniform(2.0, 10.0))


def hang_a_disk(world: World, chance: random.Random) -> None:
    chance.choice(world.disks).hang(chance.uniform(1.0, 8.0))


def fill_the_store_s_disk(world: World, chance: random.Random) -> None:
    """The server ends, since it may not say that a write is on disk which is not."""
    _disk(world.store_disk).fill(60.0)
    time.sleep(chance.uniform(1.0, 4.0))
    _disk(world.store_disk).heal()
    world.valkey.kill()
    world.valkey.start()


# How often each comes, compared with the others.
FAULTS: dict[Fault, int] = {
    kill_a_worker: 3,
    kill_a_worker_with_its_guards: 1,
    drain_a_worker: 2,
    stop_a_worker_for_a_while: 3,
    kill_a_guard: 1,
    kill_a_tool: 1,
    kill_an_api: 1,
    drain_an_api: 1,
    cut_every_connection: 1,
    pause_the_server: 1,
    kill_the_server: 1,
    lose_every_message: 1,
    hang_a_link: 2,
    lose_answers: 3,
}
# These need a disk of the world's own.
DISK_FAULTS: dict[Fault, int] = {
    fill_the_disk: 2,
    close_a_folder: 1,
    slow_a_disk: 1,
    hang_a_disk: 1,
    fill_the_store_s_disk: 1,
}
# This one needs a broker that may forget.
BROKER_FAULTS: dict[Fault, int] = {kill_the_broker: 2}


def next_fault(world: World, chance: random.Random) -> Fault:
    """One of those that can be done here."""
    possible = FAULTS | (DISK_FAULTS if world.disks else {})
    possible |= BROKER_FAULTS if world.broker is not world.valkey else {}
    return chance.choices(list(possible), list(possible.values()))[0]


def _at_work(workers: Sequence[Process], chance: random.Random) -> Process:
    """One that has a job in its hands, if there is such a one."""
    busy = [worker for worker in workers if _guards(worker)]
    return chance.choice(busy or workers)


def _guards(worker: Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(worker.popen.pid).children()
        return [child for child in children if "worker.guard" in " ".join(child.cmdline())]
    return []


def _disk(disk: Disk | None) -> Disk:
    assert disk is not None  # the table has the fault only where there is one
    return disk


def _frozen(process: Process, seconds: float) -> None:
    popen = process.popen

    def go_on() -> None:
        with contextlib.suppress(ProcessLookupError):
            popen.send_signal(signal.SIGCONT)

    process.signal(signal.SIGSTOP)
    threading.Timer(seconds, go_on).start()
