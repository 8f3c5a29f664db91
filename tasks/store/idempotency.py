"""Submissions that their client has named: whatever is sent twice is accepted once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import redis

from tasks.errors import ClipmillError, IdempotencyKeyReused
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key

KEPT_SECONDS = 24 * 3600


class Replayed(ClipmillError):
    """This was accepted before; `id` is that of the job or batch it made then."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's name for one submission, and what it submits, both as digests."""

    name: str
    digest: str

    @classmethod
    def of(cls, owner: str, name: str, asked: Any) -> Self:
        """The key that this owner gave; `asked` is the whole request, ready for JSON."""
        text = json.dumps(asked, sort_keys=True)
        named = json.dumps([owner, name])
        return cls(sha256(named.encode()).hexdigest(), sha256(text.encode()).hexdigest())


class IdempotencyKeys(StorePart):
    """Writing what is accepted together with the key that named it."""

    def check(self, named: IdempotencyKey) -> None:
        """Raises Replayed, or IdempotencyKeyReused when the key named something else."""
        with translated():
            found = self._redis.get(key("idempotency", named.name))
        _refuse(found, named)

    def write(
        self, named: IdempotencyKey, record: str, write: Callable[[Any], object]
    ) -> list[Any]:
        """What the commands that `write` puts into a pipeline answer; all are done, or none.

        The key is kept when they have made the record (a job or batch) of that name. Raises as
        `check`, then nothing was written.
        """
        name = key("idempotency", named.name)
        kept = json.dumps([named.digest, record.rpartition(":")[2]])
        with translated(), self._redis.pipeline(transaction=True) as pipeline:
            while True:
                try:
                    pipeline.watch(name)
                    _refuse(pipeline.get(name), named)
                    pipeline.multi()
                    write(pipeline)
                    self._run("idempotency", [name, record], kept, KEPT_SECONDS, client=pipeline)
                    return list(pipeline.execute()[:-1])
                except redis.WatchError:
                    continue  # someone else used the key this moment: see what for

    def keep_answer(self, id: str, answer: bytes) -> None:
        """Remember what the submission that made this was answered, as long as its key."""
        with translated():
            self._redis.set(key("answer", id), zlib.compress(answer), ex=KEPT_SECONDS)

    def first_answer(self, id: str) -> bytes | None:
        """What `keep_answer` has kept; None when whoever should have kept it died before."""
        with translated():
            packed = self._redis.get(key("answer", id))
        return zlib.decompress(packed) if packed else None


def _refuse(found: bytes | None, named: IdempotencyKey) -> None:
    if found is None:
        return
    digest, id = json.loads(found)
    if digest != named.digest:
        raise IdempotencyKeyReused("this Idempotency-Key named another request before")
    raise Replayed(id)
