"""One fault again and again in a system that is quiet: nothing may be left of each."""

from __future__ import annotations

import time

import redis

from tests.chaos.faults import cut_once
from tests.chaos.traces import MORE_CONNECTIONS, descriptors
from tests.chaos.world import World

CUTS = 12
MOST_LEFT = CUTS // 3  # less than one of each cut, or of every second one
BACK_SECONDS = 15.0


def cut_again_and_again(world: World) -> list[str]:
    """Cut every connection, wait until those who listened listen again, and so on.

    Growth that does not stop shows itself: pools are full after a storm, and need no more for
    what an idle process does.
    """
    cut_once(world)  # what nobody used since the storm is dead after this
    before, listeners = descriptors(world), _listeners(world)
    for _ in range(CUTS):
        cut_once(world)
        until = time.monotonic() + BACK_SECONDS
        while _listeners(world) < listeners:
            if time.monotonic() > until:
                return [f"I3 {listeners} listened, and are not back in {BACK_SECONDS} seconds"]
            time.sleep(0.05)
    grown = zip(world.everyone, before, descriptors(world), strict=True)
    return [
        f"I3 {CUTS} cuts leave {more} of {kind}: {process.popen.args}"
        for process, then, now in grown
        for kind in MORE_CONNECTIONS
        if (more := now[kind] - then[kind]) > MOST_LEFT
    ]


def _listeners(world: World) -> int:
    """Those who wait for messages or for changes."""
    count = 0
    for server in world.servers:
        try:
            with server.client() as client:
                count += client.info("clients")["blocked_clients"]
                count += len(client.client_list(_type="pubsub"))
        except redis.RedisError:
            return 0
    return count
