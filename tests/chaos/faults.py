"""What can go wrong, one function each. They take a world and a source of chance."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable

import redis

from tests.chaos.world import Process, World

Fault = Callable[[World, random.Random], None]


def kill_a_worker(world: World, chance: random.Random) -> None:
    chance.choice(world.workers).signal(signal.SIGKILL)


def drain_a_worker(world: World, chance: random.Random) -> None:
    worker = chance.choice(world.workers)
    worker.signal(signal.SIGTERM)
    if chance.random() < 0.3:
        time.sleep(chance.random())
        worker.signal(chance.choice([signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL]))


def stop_a_worker_for_a_while(world: World, chance: random.Random) -> None:
    """Often past its lease: when it goes on, its jobs are another's."""
    worker = chance.choice(world.workers)
    _frozen(worker, chance.uniform(1.0, 14.0))


def kill_an_api(world: World, chance: random.Random) -> None:
    chance.choice(world.apis).signal(signal.SIGKILL)


def cut_every_connection(world: World, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 5)):
        with contextlib.suppress(redis.RedisError), world.valkey.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.1)


def pause_the_server(world: World, chance: random.Random) -> None:
    with contextlib.suppress(redis.RedisError), world.valkey.client() as client:
        client.client_pause(int(chance.uniform(200, 4000)))


def kill_the_server(world: World, chance: random.Random) -> None:
    with world.server_lock:
        world.valkey.kill()
        time.sleep(chance.uniform(0.1, 4.0))
        world.valkey.start()


def lose_every_message(world: World, chance: random.Random) -> None:
    with contextlib.suppress(redis.RedisError), world.valkey.client() as client:
        for name in client.scan_iter("clipmill:celery:*"):
            client.delete(name)


def hang_a_link(world: World, chance: random.Random) -> None:
    link = chance.choice(world.links)
    link.hang()
    threading.Timer(chance.uniform(1.0, 12.0), link.heal).start()


def kill_a_tool(world: World, chance: random.Random) -> None:
    """Only the guard's child, or the guard itself."""
    import psutil

    with contextlib.suppress(psutil.Error, IndexError):
        parent = psutil.Process(chance.choice(world.workers).popen.pid)
        chance.choice(parent.children(recursive=True)).kill()


# A function as often as it shall come.
FAULTS: tuple[Fault, ...] = (
    kill_a_worker, kill_a_worker, kill_a_worker, drain_a_worker, drain_a_worker,
    stop_a_worker_for_a_while, stop_a_worker_for_a_while, stop_a_worker_for_a_while,
    kill_an_api, cut_every_connection, pause_the_server, kill_the_server, lose_every_message,
    hang_a_link, hang_a_link, kill_a_tool,
)  # fmt: skip


def _frozen(process: Process, seconds: float) -> None:
    popen = process.popen

    def go_on() -> None:
        with contextlib.suppress(ProcessLookupError):
            popen.send_signal(signal.SIGCONT)

    process.signal(signal.SIGSTOP)
    threading.Timer(seconds, go_on).start()
