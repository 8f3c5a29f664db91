"""One fault again and again in an idle system: no fault may leave anything behind."""

from __future__ import annotations

import time

import redis

from tests.chaos.faults import cut_once
from tests.chaos.traces import MORE_CONNECTIONS, descriptors
from tests.chaos.world import World

CUTS = 12
MOST_LEFT = CUTS // 3  # less than one for each cut, or for every second cut
BACK_SECONDS = 15.0


def cut_again_and_again(world: World) -> list[str]:
    """Cut every connection, wait until all listeners listen again, and repeat.

    Growth that does not stop becomes visible: pools are full after a storm, and an idle process
    needs no more connections.
    """
    cut_once(world)  # connections unused since the storm end here
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
    """How many connections wait for messages or for changes."""
    count = 0
    for server in world.servers:
        try:
            with server.client() as client:
                count += client.info("clients")["blocked_clients"]
                count += len(client.client_list(_type="pubsub"))
        except redis.RedisError:
            return 0
    return count
