"""Taking jobs, renewing their leases, and finding the jobs of lost workers."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Literal, cast

from config.timings import PRODUCTION
from tasks.errors import Unreadable
from tasks.kinds import KINDS
from tasks.record import job_of
from tasks.store.aside import Aside
from tasks.store.connection import Connection, StorePart, translated
from tasks.store.keys import DELAYED, LEASES, key
from tasks.store.server import Server
from tasks.store.values import Lease

log = logging.getLogger(__name__)

Renewal = Literal["held", "cancel", "lost"]


class Leases(StorePart):
    """Which worker holds a job until when, by the store's clock: those of machines may differ."""

    def __init__(self, connection: Connection, server: Server, aside: Aside) -> None:
        super().__init__(connection)
        self._server = server
        self._aside = aside

    def take(self, kind: str, lease_seconds: float = PRODUCTION.lease_seconds) -> Lease | None:
        """The next ready job of a kind under a new lease; None when no job is ready.

        A job that this version cannot read is set aside, for a worker that can.
        """
        while True:
            token = secrets.token_hex(8)
            answer = self._run("take", [], kind, token, lease_seconds)
            if answer is None:
                return self._aside.lease(kind, lease_seconds)
            record = json.loads(answer[0])
            try:
                return Lease(job_of(record), token)
            except Unreadable as error:
                log.error("a job was set aside: %s", error, extra={"values": {"job": record["id"]}})
                self._aside.put(record["id"], token)

    def renew(
        self, leases: Sequence[Lease], lease_seconds: float = PRODUCTION.lease_seconds
    ) -> list[Renewal]:
        """Renew leases in one round trip; returns for each whether it is still held."""
        if not leases:
            return []
        pairs = [part for lease in leases for part in (lease.job.id, lease.token)]
        answers = self._run("renew", [], lease_seconds, *pairs)
        return [cast(Renewal, answer.decode()) for answer in answers]

    def expired(self, limit: int = 100) -> list[str]:
        """Jobs whose worker has not renewed the lease in time."""
        return self._due(LEASES, limit)

    def due_retries(self, limit: int = 100) -> list[str]:
        """Delayed jobs whose time has come."""
        return self._due(DELAYED, limit)

    def ready_count(self, kind: str) -> int:
        """How many jobs of a kind a worker could take now, perhaps one of a newer version."""
        aside, room = self._aside.count(kind), self._room_of_owners()
        with translated():
            owners = [item.decode() for item in self._redis.zrange(key("turns", kind), 0, -1)]
            pipeline = self._redis.pipeline(transaction=False)
            for owner in owners:
                pipeline.zrange(key("turns", kind, owner), 0, -1)
            groups = pipeline.execute()
            for owner, batches in zip(owners, groups, strict=True):
                for batch in batches:
                    pipeline.zcard(key("ready", kind, owner, batch.decode()))
            counts = iter(pipeline.execute())
        ready: list[int] = [sum(islice(counts, len(batches))) for batches in groups]
        found = zip(owners, ready, strict=True)
        return aside + sum(min(count, room.get(owner, count)) for owner, count in found)

    def _room_of_owners(self) -> dict[str, int]:
        """How many more jobs workers may hold of each owner that has a limit."""
        with translated():
            most = self._redis.hgetall(key("most_running"))
            held = self._redis.hgetall(key("leased_by_owner")) if most else {}
        return {
            owner.decode(): max(0, int(count) - int(held.get(owner, 0)))
            for owner, count in most.items()
        }

    def kinds_that_waited(self, owner: str) -> list[str]:
        """The kinds of an owner's ready jobs, if the owner has a limit that may have held them."""
        with translated():
            if not self._redis.hexists(key("most_running"), owner):
                return []
            pipeline = self._redis.pipeline(transaction=False)
            for kind in KINDS:
                pipeline.exists(key("turns", kind, owner))
            return [kind for kind, there in zip(KINDS, pipeline.execute(), strict=True) if there]

    def limit_running(self, most: Mapping[str, int]) -> None:
        """From now on workers hold at most so many jobs of these owners; of all others, any."""
        with translated():
            pipeline = self._redis.pipeline()
            pipeline.delete(key("most_running"))
            if most:
                pipeline.hset(key("most_running"), mapping=dict(most))
            pipeline.execute()

    def _due(self, name: str, limit: int) -> list[str]:
        latest = self._server.now()
        with translated():
            found = self._redis.zrangebyscore(name, "-inf", latest, start=0, num=limit)
        return [item.decode() for item in found]
