"""What a body may take: time, and memory beside all others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from config.settings import load_settings
from tests.unit.web.gateway.test_environ import scope
from web.gateway.bodies import Bodies, BodyLimits, ClientLeft, limits_of
from web.gateway.environ import Environ, environ_of
from web.http.errors import SlowBody, TooManyTransfers

KEYS = {"CLIPMILL_API_KEYS_FILE": "/dev/null", "CLIPMILL_MAX_BODY_BYTES": "1000"}
QUICK = BodyLimits(grace_seconds=0.1, least_bytes_a_second=1000, held_bytes=2000)
BATCHES = "/api/v2/batches"


class Sender:
    """Sends parts, each after a pause; then nothing more, or leaves."""

    def __init__(self, *parts: bytes, pause: float = 0.0, ends: str = "done") -> None:
        self._parts = list(parts)
        self._pause = pause
        self._ends = ends
        self.taken = 0

    async def receive(self) -> Mapping[str, Any]:
        await asyncio.sleep(self._pause)
        if self._parts:
            self.taken += 1
            part = self._parts.pop(0)
            more = bool(self._parts) or self._ends != "done"
            return {"type": "http.request", "body": part, "more_body": more}
        if self._ends == "silent":
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}


def bodies(limits: BodyLimits = QUICK, environ: Mapping[str, str] = KEYS) -> Bodies:
    return Bodies(limits, load_settings(environ))


def request(length: int | None = None, path: str = "/api/v2/jobs") -> Environ:
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return environ_of(scope(method="POST", path=path, headers=headers))


def body_of(environ: Environ) -> bytes:
    return bytes(environ["wsgi.input"].read())


@pytest.mark.parametrize("length", [6, None])
def test_parts_become_one_body(length: int | None) -> None:
    environ = request(length)
    sender = Sender(b"abc", b"", b"def")
    assert asyncio.run(bodies().read_into(environ, sender.receive, "ann"))
    assert body_of(environ) == b"abcdef"
    assert environ["CONTENT_LENGTH"] == "6"


def test_a_body_that_is_declared_too_long_is_not_read() -> None:
    environ = request(1001)
    sender = Sender(b"x" * 1001)
    assert not asyncio.run(bodies().read_into(environ, sender.receive, "ann"))
    assert sender.taken == 0
    assert environ["CONTENT_LENGTH"] == "1001"  # by which Flask refuses it


def test_a_body_that_becomes_too_long_is_read_no_further() -> None:
    environ = request()
    sender = Sender(*[b"x" * 400] * 9)
    assert not asyncio.run(bodies(BodyLimits()).read_into(environ, sender.receive, "ann"))
    assert sender.taken == 3
    assert environ["CONTENT_LENGTH"] == "1200"


def test_a_batch_may_be_longer() -> None:
    roomy = bodies(BodyLimits())
    environ = request(1500, BATCHES)
    assert asyncio.run(roomy.read_into(environ, Sender(b"x" * 1500).receive, "ann"))
    assert not asyncio.run(roomy.read_into(request(1500), Sender(b"x" * 1500).receive, "ann"))


@pytest.mark.parametrize("parts", [(), (b"x",), (b"x", b"y", b"z")])
def test_who_is_silent_or_drips_is_given_up(parts: Sequence[bytes]) -> None:
    sender = Sender(*parts, pause=0.04, ends="silent")
    with pytest.raises(SlowBody):
        asyncio.run(bodies().read_into(request(100), sender.receive, "ann"))


def test_who_keeps_the_least_rate_may_take_longer_than_the_grace() -> None:
    sender = Sender(*[b"x" * 100] * 6, pause=0.05)
    assert asyncio.run(bodies().read_into(request(600), sender.receive, "ann"))


@pytest.mark.parametrize(("length", "ends"), [(10, "left"), (10, "done"), (None, "left")])
def test_a_body_that_breaks_off_is_no_body(length: int | None, ends: str) -> None:
    sender = Sender(b"abc", ends=ends)
    with pytest.raises(ClientLeft):
        asyncio.run(bodies().read_into(request(length), sender.receive, "ann"))


def test_all_bodies_hold_so_much_together_and_one_caller_half_of_it() -> None:
    shared = bodies()

    async def send(caller: str, size: int) -> None:
        sender = Sender(b"x" * size, b"y", pause=0.02)
        await shared.read_into(request(size + 1), sender.receive, caller)

    async def two(*senders: tuple[str, int]) -> list[BaseException | None]:
        return await asyncio.gather(*(send(*it) for it in senders), return_exceptions=True)

    refused = asyncio.run(two(("ann", 600), ("ann", 600)))
    assert [type(it) for it in refused] == [type(None), TooManyTransfers]
    assert asyncio.run(two(("ann", 600), ("bob", 600))) == [None, None]
    # What ended, however it ended, holds nothing.
    assert asyncio.run(two(("ann", 900), ("bob", 900))) == [None, None]


def test_without_keys_the_one_caller_may_hold_all() -> None:
    alone = bodies(environ={"CLIPMILL_MAX_BODY_BYTES": "1000"})
    sender = Sender(b"x" * 1900)
    assert asyncio.run(alone.read_into(request(1900, BATCHES), sender.receive, "local"))


def test_what_is_refused_is_read_for_a_moment_so_that_the_answer_arrives() -> None:
    sender = Sender(*[b"x" * 1000] * 5)
    asyncio.run(bodies().drain(request(5000), sender.receive))
    assert sender.taken == 5


def test_who_asks_for_leave_to_send_is_not_asked_for_more() -> None:
    environ = request(5000) | {"HTTP_EXPECT": "100-continue"}
    sender = Sender(b"x")
    asyncio.run(bodies().drain(environ, sender.receive))
    assert sender.taken == 0


def test_who_is_impatient_with_readers_is_so_with_senders() -> None:
    assert limits_of(load_settings({})).grace_seconds == 10
    assert limits_of(load_settings({"CLIPMILL_CLIENT_SILENCE": "3s"})).grace_seconds == 3
