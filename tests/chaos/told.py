"""What webhooks told, compared with what happened."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook as Verifier

from tests.chaos.load import Promises
from tests.support.receiver import Received, Reply

REFUSED_SHARE = 0.15  # of the first tries


class Moody:
    """Refuses some messages the first time that they come."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._seen: set[str] = set()

    def __call__(self, came: Received) -> Reply:
        first = came.id not in self._seen
        self._seen.add(came.id)
        return Reply(500 if first and self._chance.random() < REFUSED_SHARE else 204)


def telling_faults(
    received: Sequence[Received],
    promises: Promises,
    documents: Mapping[str, Any],
    secret: str,
    token: str,
) -> list[str]:
    """Ends that nobody was told of, ends that were not, and messages that cannot be trusted."""
    told: dict[str, set[str]] = defaultdict(set)
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for came in received:
        data = came.message["data"]
        told[data["id"]].add(came.message["type"])
        bodies[came.id].add(came.body)
    untold = [
        f"W never told: {job_id} {documents[job_id]['state']}"
        for job_id in promises.accepted
        if job_id in documents and f"job.{documents[job_id]['state']}" not in told.get(job_id, ())
    ]
    untold += [f"W never told: batch {id}" for id in promises.batches if id not in told]
    false = [
        f"W told what was not: {job_id} {types}"
        for job_id, types in told.items()
        if types
        != {f"job.{documents[job_id]['state']}" if job_id in documents else "batch.finished"}
    ]
    changed = [f"W one id, two messages: {id}" for id, texts in bodies.items() if len(texts) > 1]
    secrets = [f"W the token of a URL: {it.id}" for it in received if token.encode() in it.body]
    return untold + false + changed + secrets + _forged(received, secret)


def _forged(received: Sequence[Received], secret: str) -> list[str]:
    """Messages whose signature does not fit. Their clocks are wrong here, so time counts not."""
    verifier, found = Verifier(secret), []
    for came in received:
        at = datetime.fromtimestamp(int(came.headers["webhook-timestamp"]), UTC)
        right = verifier.sign(came.id, at, came.body.decode())
        if right not in came.headers["webhook-signature"].split():
            found.append(f"W the signature does not fit: {came.id}")
    return found
