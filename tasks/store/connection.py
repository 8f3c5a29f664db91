"""The connection to Redis or Valkey: scripts by name, and one error for whatever goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from config.imports import hidden

with hidden("opentelemetry"):
    # It loads its metrics wherever it is installed, used or not: 2 MB of each of our processes.
    import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from tasks.errors import StoreUnavailable
from tasks.store.keys import PREFIX

# Each script's file. Only what adds jobs is refused when the store is full: what is there must
# be able to come to its end, and so to make room.
_SCRIPTS = {
    "open_batch": "open_batch",
    "once": "once",
    "create": "write",
    "change": "write",
    "take": "take",
    "renew": "renew",
    "request_cancel": "request_cancel",
    "delete": "delete",
    "expire": "expire",
    "settled": "settled",
    "site": "site",
    "peak": "peak",
    "lock": "lock",
    "count": "count",
    "use": "use",
    "report": "report",
    "kept_house": "kept_house",
}
_REFUSED_WHEN_FULL = {"open_batch", "once", "create"}
_CONNECTIONS = 32
_ALLOWED_WHEN_FULL = "#!lua flags=allow-oom\n"


def connect(url: str, timeout_seconds: float = 2.5) -> redis.Redis:
    """A client with short time-outs: a request must not hang on a store that is gone.

    Hundreds of threads may ask at the same moment: they wait for one of a few connections, where
    the library's usual pool would refuse the hundred-and-first.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=2.0,
        health_check_interval=10,
        # Once more at once, since a pooled connection may have died unseen; but a store that was
        # silent for the whole time-out is not asked twice.
        retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
    )
    return redis.Redis.from_pool(pool)


@contextmanager
def translated(server: str = "the record store") -> Iterator[None]:
    """Turn every failure of Redis into StoreUnavailable."""
    try:
        yield
    except (redis.RedisError, OSError) as error:  # OSError: no descriptor for a connection
        raise StoreUnavailable(f"{server} does not answer") from error


def _source(name: str, file: str) -> str:
    text = (files("tasks.store") / "lua" / f"{file}.lua").read_text()
    return text if name in _REFUSED_WHEN_FULL else _ALLOWED_WHEN_FULL + text


class StorePart:
    """What each part of the store is built on: a client and the scripts."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis: Any = client  # its methods are typed for sync and async at once
        self._scripts: dict[str, Script] = {
            name: client.register_script(_source(name, file)) for name, file in _SCRIPTS.items()
        }

    def close(self) -> None:
        """Let go of every connection."""
        self.redis.close()

    def run(self, script: str, keys: Sequence[str], *args: Any, client: Any = None) -> Any:
        """Run a script; with `client` (a pipeline) it is only queued there."""
        with translated():
            return self._scripts[script](keys=keys, args=[PREFIX, *args], client=client)
