"""The connection to Redis or Valkey: scripts by name, and one error for all failures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Any

from tasks.store.imports import hidden

with hidden("opentelemetry"):
    # redis loads OpenTelemetry's metrics where they are installed, used or not: 2 MB a process.
    import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from tasks.errors import StoreFull, StoreUnavailable
from tasks.store.keys import PREFIX
from tasks.store.scripts import SCRIPTS, source_of

_CONNECTIONS = 32
# A request gets a response within two seconds, also from a silent store; a worker can wait longer.
REQUEST_SECONDS = 1.5
_WORKER_SECONDS = 2.5
# After a time-out no other request waits for the silent store during this time.
SILENT_SECONDS = 0.25


class _Line(LifoQueue[Any]):
    """The free connections of a pool, and the threads that wait for one."""

    silent_until = -math.inf

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next free connection. Raises Empty when the store was silent just now."""
        connection = super().get(block, timeout)
        if time.monotonic() < self.silent_until:
            self.put_nowait(connection)
            raise Empty
        return connection


class _RequestPool(redis.BlockingConnectionPool):
    """Connections for requests: a silence of the store delays a request only once.

    Otherwise the requests in line would wait for the same silence one after the other, and a
    request that asks the store twice would wait twice.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(queue_class=_Line, **options)  # type: ignore[no-untyped-call]

    def release(self, connection: Any) -> None:
        """Return a connection to the pool. After a failed retry the client has closed it."""
        if not connection.is_connected:
            self.pool.silent_until = time.monotonic() + SILENT_SECONDS
        super().release(connection)  # type: ignore[no-untyped-call]


def connect(
    url: str, timeout_seconds: float = _WORKER_SECONDS, *, requests: bool = False
) -> redis.Redis:
    """A client with short time-outs: nothing must hang on a store that is down.

    Hundreds of threads may ask at the same moment. They wait for one of a few connections; the
    library's usual pool would raise an error for a thread that finds no free connection.
    """
    pool_class = _RequestPool if requests else redis.BlockingConnectionPool
    pool = pool_class.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=min(2.0, timeout_seconds),
        health_check_interval=10,
        # One retry at once, since a pooled connection may have died unseen; but no retry after a
        # time-out, when the store was silent for the whole time.
        retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
    )
    return redis.Redis.from_pool(pool)


@contextmanager
def translated(server: str = "the record store") -> Iterator[None]:
    """Turn every failure of Redis into StoreUnavailable; into StoreFull for want of memory."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise StoreFull(
            f"{server} is full: try again later, delete finished jobs, or give it more memory"
        ) from error
    except (redis.RedisError, OSError) as error:  # OSError: no file descriptor is left
        raise StoreUnavailable(f"{server} does not answer") from error


class Connection:
    """A client and the scripts by name, shared by all parts of one store."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis: Any = client  # its methods are typed for sync and async at once
        self._scripts: dict[str, Script] = {
            name: client.register_script(source_of(name)) for name in SCRIPTS
        }

    def close(self) -> None:
        """Let go of every connection."""
        self.redis.close()

    def run(self, script: str, keys: Sequence[str], *args: Any, client: Any = None) -> Any:
        """Run a script; with a pipeline as `client` the script is only queued there."""
        with translated():
            return self._scripts[script](keys=keys, args=[PREFIX, *args], client=client)


class StorePart:
    """The base of each part of the store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._redis = connection.redis

    def _run(self, script: str, keys: Sequence[str], *args: Any, client: Any = None) -> Any:
        return self._connection.run(script, keys, *args, client=client)
