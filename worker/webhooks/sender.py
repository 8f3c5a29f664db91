"""Takes due messages and sends them side by side, in an event loop of its own.

Every worker has a sender. A message is leased, so one sender at a time has it. When a sender dies,
its messages go to another one after the lease, under the same ids: an endpoint may get a message
twice, and knows it by its id.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from config.timings import PRODUCTION, Timings
from tasks.outbox import Outbox
from tasks.outbox.deliveries import Delivery
from tasks.signing import signatures
from tasks.store import RetryFor, Store
from worker.egress.policy import Policy
from worker.engine.periodic import PeriodicThread
from worker.webhooks.event_loop import EventLoop
from worker.webhooks.message import body_of
from worker.webhooks.places import Places
from worker.webhooks.posting import post
from worker.webhooks.schedule import MOST_TRIES_SHOWN, Answer, verdict

log = logging.getLogger(__name__)

# A connection that waits takes some kilobytes.
PLACES = 128
_RESOLVERS = 16  # a look-up blocks its thread
_WRITERS = 4
_USER_AGENT = "Clipmill-Webhooks"
_STOP_SECONDS = 3.0
# The endpoint has the message: the store should know it before the lease ends.
_PATIENCE = RetryFor(10.0)


class Sender(PeriodicThread):
    """Looks for due messages, and sends what has a place."""

    def __init__(self, store: Store, policy: Policy, timings: Timings = PRODUCTION) -> None:
        super().__init__("webhooks", timings.webhook_look_seconds)
        self._store = store
        self._outbox = Outbox(store.connection)
        self._policy = policy
        self._lease_seconds = timings.webhook_lease_seconds
        self._places = Places(PLACES)
        self._loop = EventLoop("webhook-sender")
        self._resolver = ThreadPoolExecutor(_RESOLVERS, "webhook-names")
        self._writer = ThreadPoolExecutor(_WRITERS, "webhook-ends")

    def stop(self) -> None:
        """Take nothing more. What is under way goes to another sender after its lease."""
        super().stop()
        self._loop.close(_STOP_SECONDS)
        for pool in (self._resolver, self._writer):
            pool.shutdown(wait=False, cancel_futures=True)

    def round(self) -> None:
        """Begin to send all that is due and has a place."""
        self._outbox.deliveries.recover()
        while (places := self._places.free) > 0 and not self._stopping.is_set():
            found = self._outbox.deliveries.take(
                secrets.token_hex(8),
                self._lease_seconds,
                places=places,
                failing=self._places.free_for_failing,
                of_owner=PLACES // 2,
            )
            if not found:
                return
            for delivery, failing in found:
                self._places.take(failing)
                self._loop.begin(self._send(delivery, failing))

    async def _send(self, delivery: Delivery, failing: bool) -> None:
        try:
            loop = asyncio.get_running_loop()
            headers, body = await loop.run_in_executor(self._writer, self._message, delivery)
            answer = await post(
                delivery.url,
                headers,
                body,
                policy=self._policy,
                resolver=self._resolver,
                trust=self._trust,
            )
            await loop.run_in_executor(self._writer, self._record, delivery, answer)
        except Exception:
            # After the lease the message is tried again.
            log.exception("a webhook was not sent", extra={"values": {"delivery": delivery.id}})
        finally:
            self._places.give_back(failing)

    def _message(self, delivery: Delivery) -> tuple[dict[str, str], bytes]:
        """Headers and body of a try that begins now. Raises StoreUnavailable."""
        body, now = body_of(delivery), time.time()
        shared = self._outbox.secrets.of(delivery.owner).all
        signed = signatures(delivery.id, now, body, shared, self._private_key)
        headers = {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signed,
        }
        return headers, body.encode()

    def _record(self, delivery: Delivery, answer: Answer) -> None:
        now = _PATIENCE.run(self._store.server.now)
        end = verdict(delivery, answer, now)
        tries = [*delivery.tries, answer.to_dict(now - answer.seconds)][-MOST_TRIES_SHOWN:]
        _PATIENCE.run(
            lambda: self._outbox.deliveries.settle(
                delivery, end.became, tries, again_in=end.again_in, pause=end.pause
            )
        )
        if end.became != "delivered":
            values = {"delivery": delivery.id, "status": answer.status, "error": answer.error}
            log.info("a webhook failed (%s)", end.became, extra={"values": values})

    @cached_property
    def _private_key(self) -> str:
        return self._outbox.secrets.private_key()

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context()
