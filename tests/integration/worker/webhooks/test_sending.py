"""What ends is told, signed, to whoever asked; and what is refused is told again."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from config.timings import PRODUCTION
from tasks.dispatch import JobRequest
from tasks.errors import Unavailable
from tasks.kinds import ExtractSpec
from tasks.outbox.deliveries import DeliveryQuery
from tasks.signing import public_key
from tasks.specs import Source
from tasks.webhook import BATCH_FINISHED, EVENTS, Webhook
from tests.support.engine import Engine, Work
from tests.support.receiver import Received, Receiver, Reply
from tests.support.valkey import ValkeyServer
from worker.egress.policy import Policy
from worker.webhooks.message import LONGEST_BODY, body_of
from worker.webhooks.sender import Sender

LOOPBACK = Policy((ip_network("127.0.0.0/8"),), ())
TIMINGS = replace(PRODUCTION, webhook_look_seconds=0.05)


@pytest.fixture
def engine(valkey: ValkeyServer, tmp_path: Path) -> Iterator[Engine]:
    with Engine(valkey.url, tmp_path, allowed_networks="127.0.0.0/8") as engine:
        yield engine


@pytest.fixture
def sender(engine: Engine) -> Iterator[Sender]:
    sender = Sender(engine.store, LOOPBACK, TIMINGS)
    sender.start()
    yield sender
    sender.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def until(seen: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found


def deliveries(engine: Engine, owner: str = "ann", **query: Any) -> list[Any]:
    return engine.outbox.deliveries.page(DeliveryQuery(**query), owner).items


def ended(engine: Engine, owner: str = "ann") -> list[Any]:
    return [it for it in deliveries(engine, owner) if it.ended_at is not None]


def ended_at(came: Received) -> float:
    """When the job of a message ended, in seconds since 1970."""
    return datetime.fromisoformat(came.message["data"]["finished_at"]).timestamp()


def fail(_: Work) -> None:
    raise Unavailable("the video is private")


def make_due(engine: Engine, seconds: float) -> None:
    """As if this much time had passed for all that waits, and for every pause."""
    redis = engine.store.connection.redis
    for name in redis.scan_iter("clipmill:webhook:*"):
        text, kind = name.decode(), redis.type(name)
        if kind == b"zset" and any(part in text for part in (":queue:", ":due", ":failing")):
            for member, score in redis.zrange(name, 0, -1, withscores=True):
                redis.zadd(name, {member: score - seconds})
        elif kind == b"hash" and ":delivery:" in text:
            redis.hincrbyfloat(name, "since", -seconds)
        elif kind == b"hash" and ":endpoint:" in text and redis.hexists(name, "paused_until"):
            redis.hincrbyfloat(name, "paused_until", -seconds)


def test_the_end_of_a_job_is_told_to_the_url_that_it_names(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    job_id = engine.submit(webhook=Webhook(receiver.url), metadata={"mine": "7"})
    engine.run_all()
    (came,) = receiver.wait_for(1)
    assert came.message["type"] == "job.succeeded"
    job = came.message["data"]
    assert (job["id"], job["state"], job["metadata"]) == (job_id, "succeeded", {"mine": "7"})
    assert job["result"]["info"] == {"title": "a page"}
    assert came.headers["content-type"] == "application/json"
    (delivery,) = until(lambda: ended(engine))
    assert (delivery.state, delivery.subject, delivery.attempts) == ("delivered", job_id, 1)
    assert engine.store.counters.read()["webhook_deliveries_total{outcome=delivered}"] == 1


def test_public_libraries_verify_what_is_sent_and_refuse_what_was_changed(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    (came,) = receiver.wait_for(1)
    verifier = Verifier(engine.outbox.secrets.of("ann").current)
    assert verifier.verify(came.body, came.headers) == came.message
    with pytest.raises(WebhookVerificationError):
        verifier.verify(came.body.replace(b"succeeded", b"cancelled"), came.headers)
    with pytest.raises(WebhookVerificationError):
        verifier.verify(came.body, {**came.headers, "webhook-timestamp": "1700000000"})
    with pytest.raises(WebhookVerificationError):
        Verifier(engine.outbox.secrets.of("bob").current).verify(came.body, came.headers)


def test_the_public_key_verifies_the_second_signature(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    (came,) = receiver.wait_for(1)
    text = public_key(engine.outbox.secrets.private_key())
    key = Ed25519PublicKey.from_public_bytes(b64decode(text.removeprefix("whpk_")))
    (made,) = [it[4:] for it in came.headers["webhook-signature"].split() if it.startswith("v1a,")]
    signed = f"{came.id}.{came.headers['webhook-timestamp']}.".encode() + came.body
    key.verify(b64decode(made), signed)


def test_while_a_secret_is_rotated_both_verify(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    old = engine.outbox.secrets.of("ann").current
    new = engine.outbox.secrets.rotate("ann").current
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    (came,) = receiver.wait_for(1)
    assert old != new
    for secret in (old, new):
        Verifier(secret).verify(came.body, came.headers)
    engine.store.connection.redis.hset("clipmill:webhook:secret:ann", "previous_until", 1)
    assert engine.outbox.secrets.of("ann").all == (new,)


def test_a_receiver_that_fails_three_times_gets_the_same_message_a_fourth_time(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    receiver.script = lambda _: Reply(500 if len(receiver.received) < 4 else 200)
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    for count in (1, 2, 3):
        receiver.wait_for(count)
        until(lambda count=count: deliveries(engine)[0].attempts == count)
        (delivery,) = deliveries(engine)
        assert delivery.state == "waiting"
        assert delivery.due > time.time() + 2  # it does not come at once
        make_due(engine, 3600)
    came = receiver.wait_for(4)
    (delivery,) = until(lambda: ended(engine))
    assert len({it.id for it in came}) == 1
    assert len({it.body for it in came}) == 1
    assert (delivery.state, delivery.attempts) == ("delivered", 4)
    assert [each.get("status") for each in delivery.tries] == [500, 500, 500, 200]


def test_the_schedule_ends_after_a_day_and_thirteen_tries(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    receiver.script = lambda _: Reply(500)
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    waits: list[float] = []
    for count in range(1, 14):
        receiver.wait_for(count)
        (delivery,) = until(
            lambda count=count: [it for it in deliveries(engine) if it.attempts == count]
        )
        if delivery.state == "failed":
            break
        waits.append(delivery.due - time.time())
        make_due(engine, waits[-1])
    (delivery,) = until(lambda: ended(engine))
    assert delivery.state == "failed"
    assert 12 <= delivery.attempts <= 13
    assert 15 * 3600 < sum(waits) < 24 * 3600
    assert waits == sorted(waits)
    time.sleep(0.3)
    assert len(receiver.received) == delivery.attempts
    assert engine.store.counters.read()["webhook_deliveries_total{outcome=failed}"] == 1


@pytest.mark.parametrize(
    ("reply", "least", "most"),
    [
        (Reply(429, {"Retry-After": "120"}), 100, 125),
        (Reply(503, {"Retry-After": "90"}), 80, 95),
        (Reply(502), 20, 35),
        (Reply(504), 20, 35),
        (Reply(429, {"Retry-After": "soon"}), 20, 35),
    ],
)
def test_who_asks_for_time_gets_it_for_all_its_messages(
    engine: Engine, sender: Sender, receiver: Receiver, reply: Reply, least: float, most: float
) -> None:
    receiver.script = lambda _: reply
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    receiver.wait_for(1)
    until(lambda: deliveries(engine)[0].attempts == 1)
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    time.sleep(0.5)
    assert len(receiver.received) == 1
    redis = engine.store.connection.redis
    ((_, due),) = redis.zrange("clipmill:webhook:failing", 0, -1, withscores=True)
    assert least < due - time.time() < most


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    engine: Engine, sender: Sender, receiver: Receiver, status: int
) -> None:
    with Receiver() as elsewhere:
        receiver.script = lambda _: Reply(status, {"Location": elsewhere.url})
        engine.submit(webhook=Webhook(receiver.url))
        engine.run_all()
        receiver.wait_for(1)
        (delivery,) = until(lambda: [it for it in deliveries(engine) if it.attempts])
        assert delivery.state == "waiting"
        assert elsewhere.received == []


def test_gone_ends_the_message_and_disables_a_registered_url(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    receiver.script = lambda _: Reply(410)
    endpoint = engine.outbox.endpoints.register(Webhook(receiver.url), "ann")
    engine.submit()
    engine.run_all()
    receiver.wait_for(1)
    until(lambda: engine.outbox.endpoints.get(endpoint.id, "ann").disabled)
    engine.submit()
    engine.run_all()
    time.sleep(0.3)
    assert len(receiver.received) == 1
    assert [it.state for it in deliveries(engine)] == ["failed"]
    receiver.script = lambda _: Reply()
    engine.outbox.endpoints.enable(endpoint.id, "ann")
    engine.submit()
    engine.run_all()
    receiver.wait_for(2)


def test_a_registered_url_is_told_of_what_it_asked_for_and_of_nobody_elses(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    engine.outbox.endpoints.register(Webhook(receiver.url, ("job.failed",)), "ann")
    engine.submit()
    engine.run_all()
    engine.work = fail
    engine.submit(url="https://media.example/bobs", owner="bob")
    mine = engine.submit(url="https://media.example/mine")
    engine.run_all()
    (came,) = receiver.wait_for(1)
    assert came.message["type"] == "job.failed"
    assert came.message["data"]["id"] == mine
    assert came.message["data"]["error"]["code"] == "unavailable"
    time.sleep(0.3)
    assert len(receiver.received) == 1


def test_a_job_that_fails_and_runs_again_tells_both_ends(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    engine.work = fail
    job_id = engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    receiver.wait_for(1)
    engine.work = lambda _: None
    engine.dispatcher.retry(job_id, "ann")
    engine.run_all()
    first, second = receiver.wait_for(2)
    assert (first.message["type"], second.message["type"]) == ("job.failed", "job.succeeded")
    assert first.id != second.id


def test_a_cancelled_job_tells_it_once(engine: Engine, sender: Sender, receiver: Receiver) -> None:
    job_id = engine.submit(webhook=Webhook(receiver.url))
    engine.dispatcher.cancel(job_id, "ann")
    (came,) = receiver.wait_for(1)
    assert came.message["type"] == "job.cancelled"
    time.sleep(0.3)
    assert len(receiver.received) == 1


def test_a_batch_tells_its_end_once_to_each_url_after_its_last_job(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    hook = Webhook(receiver.url)
    asked = [
        JobRequest(ExtractSpec(Source(url=f"https://media.example/{name}")), webhook=hook)
        for name in "abc"
    ]
    batch_id = engine.dispatcher.submit_batch(asked, "ann")
    engine.run_all()
    came = [it.message for it in receiver.wait_for(4)]
    assert sorted(it["type"] for it in came) == [BATCH_FINISHED, *["job.succeeded"] * 3]
    (batch,) = [it["data"] for it in came if it["type"] == BATCH_FINISHED]
    assert (batch["id"], batch["state"], batch["counts"]["succeeded"]) == (batch_id, "succeeded", 3)
    assert batch["finished_at"] is not None
    time.sleep(0.3)
    assert len(receiver.received) == 4


def test_a_message_holds_no_query_of_the_source(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    def leak(_: Work) -> None:
        raise Unavailable("no answer from https://media.example/v?token=s3cret")

    engine.work = leak
    engine.submit(
        url="https://media.example/v?token=s3cret", webhook=Webhook(receiver.url + "?a=b")
    )
    engine.run_all()
    (came,) = receiver.wait_for(1)
    assert b"s3cret" not in came.body
    assert came.message["data"]["spec"]["source"]["url"] == "https://media.example/v"
    assert came.path == "/hook?a=b"
    assert "webhook" not in came.message["data"]


def test_a_long_result_is_shortened_and_says_so(engine: Engine, receiver: Receiver) -> None:
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    (delivery,) = deliveries(engine)
    job = json.loads(delivery.document)
    job["result"]["info"] = {"description": "ä" * 30_000}
    short = body_of(replace(delivery, document=json.dumps(job).encode()))
    assert len(short.encode()) <= LONGEST_BODY
    assert json.loads(short)["data"]["result"] == {
        "artifacts": [], "peak_memory_bytes": job["result"]["peak_memory_bytes"], "shortened": True
    }  # fmt: skip
    job["spec"]["padding"] = "x" * 30_000
    shortest = json.loads(body_of(replace(delivery, document=json.dumps(job).encode())))["data"]
    assert shortest["shortened"] is True
    assert shortest["links"]["self"].endswith(job["id"])


def test_addresses_are_checked_where_they_connect(engine: Engine, receiver: Receiver) -> None:
    strict = Sender(engine.store, Policy((), ()), TIMINGS)
    strict.start()
    try:
        engine.submit(webhook=Webhook(receiver.url))
        engine.run_all()
        (delivery,) = until(lambda: [it for it in deliveries(engine) if it.attempts])
    finally:
        strict.stop()
    assert receiver.received == []
    assert delivery.tries[0]["error"].startswith("blocked_address")


@pytest.mark.parametrize("reply", [Reply(seconds=30), Reply(drip=True)])
def test_a_receiver_that_does_not_come_to_an_end_is_left(
    engine: Engine, receiver: Receiver, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.posting.TRY_SECONDS", 1.0)
    receiver.script = lambda _: reply
    sender = Sender(engine.store, LOOPBACK, TIMINGS)
    sender.start()
    try:
        engine.submit(webhook=Webhook(receiver.url))
        engine.run_all()
        (delivery,) = until(lambda: [it for it in deliveries(engine) if it.attempts])
    finally:
        sender.stop()
    assert "no answer" in delivery.tries[0]["error"]
    assert delivery.tries[0]["seconds"] < 3


def test_one_dead_endpoint_with_a_long_queue_delays_no_living_one(
    engine: Engine, receiver: Receiver
) -> None:
    with Receiver(lambda _: Reply(seconds=30)) as dead:
        for _ in range(300):
            engine.submit(webhook=Webhook(dead.url))
        engine.run_all()
        sender = Sender(engine.store, LOOPBACK, PRODUCTION)
        sender.start()
        try:
            dead.wait_for(1)
            with Receiver() as living:
                for number in range(99):
                    engine.submit(owner=f"owner{number}", webhook=Webhook(living.url))
                engine.run_all()
                came = living.wait_for(99)
        finally:
            sender.stop()
    late = [it.at - ended_at(it) for it in came]
    assert max(late) < 1.0
    assert len(dead.received) <= 4


def test_a_message_whose_sender_was_lost_goes_to_the_next_one_under_its_id(
    engine: Engine, receiver: Receiver
) -> None:
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    ((lost, _),) = engine.outbox.deliveries.take("gone", 0.2, places=8, failing=4, of_owner=4)
    assert engine.outbox.deliveries.take("x", 30, places=8, failing=4, of_owner=4) == []
    sender = Sender(engine.store, LOOPBACK, TIMINGS)
    sender.start()
    try:
        (came,) = receiver.wait_for(1)
        until(lambda: ended(engine))
    finally:
        sender.stop()
    assert came.id == lost.id
    # What the lost sender says of its try counts no more.
    assert not engine.outbox.deliveries.settle(lost, "failed", [])
    assert deliveries(engine)[0].state == "delivered"


def test_what_was_delivered_is_sent_again_on_request(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    (delivery,) = until(lambda: ended(engine))
    engine.outbox.deliveries.redeliver(delivery.id, "ann")
    first, second = receiver.wait_for(2)
    assert (first.id, first.body) == (second.id, second.body)
    until(lambda: ended(engine))
    assert engine.outbox.deliveries.replay("ann", 0, time.time() + 9, None) == 1
    assert engine.outbox.deliveries.replay("bob", 0, time.time() + 9, None) == 0
    receiver.wait_for(3)


def test_a_deleted_endpoint_gets_nothing_more_and_what_waited_fails(
    engine: Engine, receiver: Receiver
) -> None:
    endpoint = engine.outbox.endpoints.register(Webhook(receiver.url), "ann")
    for _ in range(3):
        engine.submit()
    engine.run_all()
    engine.outbox.endpoints.delete(endpoint.id, "ann")
    sender = Sender(engine.store, LOOPBACK, TIMINGS)
    sender.start()
    try:
        until(lambda: len(ended(engine)) == 3)
    finally:
        sender.stop()
    assert {it.state for it in deliveries(engine)} == {"failed"}
    assert receiver.received == []


def test_ended_deliveries_are_forgotten_after_their_time(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    engine.submit(webhook=Webhook(receiver.url))
    engine.run_all()
    until(lambda: ended(engine))
    engine.retention.forget_deliveries(60.0)
    assert len(deliveries(engine)) == 1
    engine.retention.forget_deliveries(0.0)
    assert deliveries(engine) == []
    left = [name.decode() for name in engine.store.connection.redis.keys("clipmill:webhook:*")]
    assert not [name for name in left if ":delivery:" in name or ":deliveries:" in name], left


def test_nothing_of_a_sender_stays_counted_when_all_has_ended(
    engine: Engine, sender: Sender, receiver: Receiver
) -> None:
    for number in range(20):
        engine.submit(url=f"https://media.example/{number}", webhook=Webhook(receiver.url, EVENTS))
    engine.run_all()
    receiver.wait_for(20)
    until(lambda: len(ended(engine)) == 20)
    redis = engine.store.connection.redis
    for name in ("flying_of", "open_of", "leases", "due", "failing"):
        assert not redis.exists(f"clipmill:webhook:{name}"), name


def test_a_message_is_written_in_the_same_step_as_the_end(engine: Engine) -> None:
    engine.submit(webhook=Webhook("http://127.0.0.1:1/"))
    engine.run_all()
    (delivery,) = deliveries(engine)
    job = engine.store.jobs.get(delivery.subject)
    assert job.finished_at is not None
    assert json.loads(delivery.document)["state"] == "succeeded"
