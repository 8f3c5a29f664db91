"""Idempotency keys: a submission that a client sends twice is accepted once."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from tasks.errors import IdempotencyKeyReused, Replayed
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key

KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class IdempotencyKey:
    """A client's key for one submission, and the submission itself, both as digests."""

    name: str
    digest: str

    @classmethod
    def of(cls, owner: str, name: str, asked: Any) -> Self:
        """The key `name` of this owner; `asked` is the whole request, ready for JSON."""
        text = json.dumps(asked, sort_keys=True)
        named = json.dumps([owner, name])
        return cls(sha256(named.encode()).hexdigest(), sha256(text.encode()).hexdigest())

    def accepting(self, id: str) -> dict[str, Any]:
        """The record of this key, written together with the accepted job or batch."""
        kept = json.dumps([self.digest, id])
        return {"name": self.name, "accepted": kept, "seconds": KEPT_SECONDS}

    def refuse(self, accepted: bytes) -> None:
        """Raises Replayed, or IdempotencyKeyReused when the key named another request."""
        digest, id = json.loads(accepted)
        if digest != self.digest:
            raise IdempotencyKeyReused(
                "this Idempotency-Key named another request before: use a new key"
            )
        raise Replayed(id)


class IdempotencyKeys(StorePart):
    """What was accepted under each key, and the first response."""

    def check(self, named: IdempotencyKey) -> None:
        """For a used key raises Replayed, or IdempotencyKeyReused for another request."""
        with translated():
            accepted = self._redis.get(key("idempotency", named.name))
        if accepted is not None:
            named.refuse(accepted)

    def keep_answer(self, id: str, answer: bytes) -> None:
        """Keep the response to the submission that made `id`, as long as its key."""
        with translated():
            self._redis.set(key("answer", id), zlib.compress(answer), ex=KEPT_SECONDS)

    def first_answer(self, id: str) -> bytes | None:
        """The response that `keep_answer` kept; None when the API process died before that."""
        with translated():
            packed = self._redis.get(key("answer", id))
        return zlib.decompress(packed) if packed else None
