"""Jobs read without a thread, by the requests of one event loop.

They share one connection: what is asked for while an answer is under way is asked together next.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

import redis.asyncio

from tasks.errors import StoreUnavailable
from tasks.store.connection import REQUEST_SECONDS, SILENT_SECONDS, translated
from tasks.store.keys import key
from tasks.store.values import Snapshot

log = logging.getLogger(__name__)

_SECOND_LOOK_SECONDS = 0.2
_TURNS = 10  # of the loop, in which what has come is taken
_FIELDS = ("doc", "revision", "state", "owner")

# What to ask: commands whose answers belong together.
_Asked = tuple[tuple[tuple[str, ...], ...], "asyncio.Future[Any]"]


async def _in_time(asking: Coroutine[Any, Any, None]) -> None:
    """Wait for the store as long as a request may. Raises TimeoutError.

    In a crowd the loop itself is late: an answer that lies in the socket by then is not the store's
    silence, so it is looked for once more.
    """
    task = asyncio.ensure_future(asking)
    for seconds in (REQUEST_SECONDS, _SECOND_LOOK_SECONDS):
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    task.cancel()
    raise TimeoutError


class QuickReads:
    """Reads public JSON. Belongs to the event loop that first asks."""

    def __init__(self, url: str) -> None:
        self._pool: Any = redis.asyncio.ConnectionPool.from_url(
            url, socket_timeout=REQUEST_SECONDS, socket_connect_timeout=REQUEST_SECONDS
        )
        self._connection: Any = None
        self._asked: list[_Asked] = []
        self._task: asyncio.Task[None] | None = None
        self._silent_until = 0.0

    async def snapshot(
        self, job_id: str, owner: str | None, before: tuple[str, ...] | None = None
    ) -> tuple[Snapshot | None, Any]:
        """A job's JSON, or None when there is no such job for this owner; None may read all.

        `before` is a command to run first, in the same round trip; its answer comes along. Raises
        StoreUnavailable, at once for a while after the store was silent.
        """
        if time.monotonic() < self._silent_until:
            raise StoreUnavailable("the record store does not answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        read = ("HMGET", key("job", job_id), *_FIELDS)
        self._asked.append(((before, read) if before else (read,), answer))
        if self._task is None:
            self._task = loop.create_task(self._ask_all())
        *first, (doc, revision, state, its_owner) = await answer
        told = first[0] if first else None
        if doc is None or owner not in (None, its_owner.decode()):
            return None, told
        return Snapshot.of(job_id, doc, revision, state), told

    async def aclose(self) -> None:
        """Let go of the connection."""
        lost, self._connection = self._connection, None
        if lost is not None:
            await lost.disconnect()

    async def _ask_all(self) -> None:
        """Ask until nobody waits for an answer."""
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                with translated():
                    await _in_time(self._ask(asked))
            except Exception as error:
                # Also after a fault of ours: nobody may wait for ever.
                if not isinstance(error, StoreUnavailable | TimeoutError):
                    log.exception("polls could not be read together")
                await self._give_up([*asked, *self._asked], error)
                self._asked = []
        self._task = None

    async def _ask(self, asked: list[_Asked]) -> None:
        if self._connection is None:
            self._connection = self._pool.make_connection()
            await self._connection.connect()
        commands = [command for together, _ in asked for command in together]
        packed = self._connection.pack_commands(commands)
        await self._connection.send_packed_command(packed, check_health=False)
        for together, answer in asked:
            found = [await self._connection.read_response(disable_decoding=True) for _ in together]
            if not answer.done():  # its request may be gone
                answer.set_result(found)

    async def _give_up(self, asked: list[_Asked], cause: Exception) -> None:
        self._silent_until = time.monotonic() + SILENT_SECONDS
        lost, self._connection = self._connection, None
        if lost is not None:
            await lost.disconnect(nowait=True)
        for _, answer in asked:
            if not answer.done():
                error = StoreUnavailable("the record store does not answer")
                error.__cause__ = cause
                answer.set_exception(error)
