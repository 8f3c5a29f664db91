"""The outbox: messages that were written with the end of a job, until an endpoint has them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from tasks.errors import DeliveryOpen, EndpointDisabled, NotFound, unknown_cursor
from tasks.store.connection import StorePart, translated
from tasks.store.keys import key
from tasks.store.packing import unpacked

Became = Literal["delivered", "again", "failed", "gone"]
STATES = ("waiting", "sending", "delivered", "failed")
_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}-\d{1,3}")
_CHUNK = 200
_READ_AT_MOST = 2000


@dataclass(frozen=True)
class Delivery:
    """One message to one endpoint. Times are seconds since 1970, UTC, by the store's clock.

    `since` is when its 24 hours began: with the event, or when it was sent again by hand.
    """

    id: str
    endpoint: str
    url: str
    owner: str
    type: str
    subject: str  # the id of the job or batch
    at: float
    since: float
    state: str
    attempts: int
    tries: tuple[Mapping[str, Any], ...]
    due: float | None
    ended_at: float | None
    document: bytes
    token: str

    @classmethod
    def of(cls, id: str, got: Mapping[bytes, bytes]) -> Self:
        """The delivery from the fields of its hash."""
        words = {
            name: got[name.encode()].decode()
            for name in ("endpoint", "url", "owner", "type", "subject", "state")
        }
        due, ended_at = got.get(b"due"), got.get(b"ended_at")
        return cls(
            id=id,
            **words,
            at=float(got[b"at"]),
            since=float(got[b"since"]),
            attempts=int(got[b"attempts"]),
            tries=tuple(json.loads(got.get(b"tries", b"[]"))),
            due=float(due) if due else None,
            ended_at=float(ended_at) if ended_at else None,
            document=unpacked(got[b"doc"]),
            token=got.get(b"token", b"").decode(),
        )


@dataclass(frozen=True)
class DeliveryQuery:
    """Which deliveries to list. The page begins after the id `cursor`."""

    state: str | None = None
    type: str | None = None
    subject: str | None = None  # the id of a job or batch
    limit: int = 50
    cursor: str | None = None

    def takes(self, delivery: Delivery) -> bool:
        """Whether the delivery is asked for."""
        asked = ((self.state, delivery.state), (self.type, delivery.type))
        return all(want in (None, is_) for want, is_ in (*asked, (self.subject, delivery.subject)))


@dataclass(frozen=True)
class DeliveryPage:
    """Deliveries, newest first; `next_cursor` is None on the last page."""

    items: list[Delivery]
    next_cursor: str | None


class Deliveries(StorePart):
    """Which messages wait, are being sent, or have ended."""

    def take(
        self, token: str, lease_seconds: float, *, places: int, failing: int, of_owner: int
    ) -> list[tuple[Delivery, bool]]:
        """Due deliveries, at most one of each endpoint, under a lease; whether it failed last.

        `failing` is how many of the `places` endpoints may have that failed last, `of_owner` how
        many deliveries of one owner may be under way in all.
        """
        args = (token, lease_seconds, places, failing, of_owner)
        answer = self._run("webhook_take", [], *args)
        rows = zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        return [
            (Delivery.of(id.decode(), _hash(fields)), bool(fails)) for id, fails, fields in rows
        ]

    def settle(
        self,
        delivery: Delivery,
        became: Became,
        tries: Sequence[Mapping[str, Any]],
        *,
        again_in: float = 0.0,
        pause: float = 0.0,
    ) -> bool:
        """Record how a try ended; False when the lease was lost meanwhile.

        With `again` the next try comes in `again_in` seconds. A failed try keeps the whole endpoint
        waiting for `pause` seconds. `gone` disables a registered endpoint.
        """
        text = json.dumps(tries)
        args = (delivery.id, delivery.token, became, text, again_in, pause)
        return bool(self._run("webhook_settle", [], *args))

    def recover(self, limit: int = 100) -> int:
        """Give deliveries of lost senders to the next one; end those whose endpoint is gone."""
        return int(self._run("webhook_recover", [], limit))

    def forget(self, ended_before: float, limit: int = 100) -> int:
        """Remove deliveries that ended before this time; how many were removed."""
        return int(self._run("webhook_forget", [], ended_before, limit))

    def get(self, delivery_id: str, owner: str | None) -> Delivery:
        """One delivery; `owner` None may read all. Raises NotFound."""
        (found,) = self._read([delivery_id]) if _ID.fullmatch(delivery_id) else (None,)
        if found is None or owner not in (None, found.owner):
            raise NotFound("there is no such delivery: it may have been forgotten")
        return found

    def page(self, query: DeliveryQuery, owner: str) -> DeliveryPage:
        """The deliveries of an owner that match, newest first. Raises InvalidRequest."""
        if query.cursor is not None and not _ID.fullmatch(query.cursor):
            raise unknown_cursor()
        items: list[Delivery] = []
        cursor, read = query.cursor, 0
        while read < _READ_AT_MOST:
            ids = self._ids_before(owner, cursor)
            items += [it for it in self._read(ids) if it is not None and query.takes(it)]
            if len(items) > query.limit:
                return DeliveryPage(items[: query.limit], items[query.limit - 1].id)
            if len(ids) < _CHUNK:
                return DeliveryPage(items, None)
            cursor, read = ids[-1], read + len(ids)
        return DeliveryPage(items, cursor)

    def redeliver(self, delivery_id: str, owner: str | None) -> Delivery:
        """Send an ended delivery again. Raises NotFound, DeliveryOpen or EndpointDisabled."""
        self.get(delivery_id, owner)
        (before,) = self._run("webhook_redeliver", [], delivery_id)
        if before == b"disabled":
            raise EndpointDisabled("the endpoint is disabled or deleted: enable it first")
        if before not in (b"delivered", b"failed"):
            raise DeliveryOpen("the delivery has not ended: it will be tried again by itself")
        return self.get(delivery_id, owner)

    def replay(self, owner: str, since: float, until: float, state: str | None) -> int:
        """Send ended deliveries of a time again; how many. `state` None: both kinds of end."""
        wanted = (state,) if state else ("delivered", "failed")
        cursor, sent = None, 0
        while ids := self._ids_before(owner, cursor):
            cursor = ids[-1]
            found = [it for it in self._read(ids) if it is not None]
            again = [it.id for it in found if since <= it.at <= until and it.state in wanted]
            before = self._run("webhook_redeliver", [], *again) if again else []
            sent += sum(state in (b"delivered", b"failed") for state in before)
            if found and found[-1].at < since:
                break
        return sent

    def _ids_before(self, owner: str, cursor: str | None) -> list[str]:
        top = f"({cursor}" if cursor else "+"
        name = key("webhook", "deliveries", owner)
        with translated():
            found = self._redis.zrevrangebylex(name, top, "-", start=0, num=_CHUNK)
        return [item.decode() for item in found]

    def _read(self, ids: Sequence[str]) -> list[Delivery | None]:
        with translated():
            pipeline = self._redis.pipeline(transaction=False)
            for delivery_id in ids:
                pipeline.hgetall(key("webhook", "delivery", delivery_id))
            rows = pipeline.execute()
        return [Delivery.of(id, row) if row else None for id, row in zip(ids, rows, strict=True)]


def _hash(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))
