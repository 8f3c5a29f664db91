"""Streams of events (text/event-stream): what is now, then every change, until the last one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Response, request

from config.api import API_BASE
from tasks.errors import NotFound, StoreUnavailable
from tasks.store import Snapshot
from web.http.openapi import Blueprint
from web.http.services import Services, caller, current_services

log = logging.getLogger(__name__)
blueprint = Blueprint("events", __name__, url_prefix=API_BASE, description="All changes, live.")

MEDIA_TYPE = "text/event-stream"
EVERYTHING = "*"
# Proxies drop a silent connection, and only a write tells that a client has gone.
HEARTBEAT_SECONDS = 10.0
# Changes that come faster are told together.
MIN_INTERVAL_SECONDS = 0.05
# How soon a browser comes back when the connection breaks.
_PREAMBLE = b"retry: 2000\n\n"
_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True)
class Event:
    """One thing to tell. `id` comes back as `Last-Event-ID` when a client reconnects."""

    name: str
    id: str
    data: bytes
    last: bool = False

    def encode(self) -> bytes:
        """As the stream has it; `data` is one line of JSON."""
        name, event_id = self.name.encode(), self.id.encode()
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event_id, self.data)


class _Pulse:
    """When a stream has to say again that it is there, by the last time that it said anything."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def told(self, block: bytes) -> bytes:
        """The block, which is written now."""
        self._told_at = time.monotonic()
        return block

    def seconds_left(self) -> float:
        """Until the heartbeat; 0 when it is due."""
        return max(0.0, self._told_at + HEARTBEAT_SECONDS - time.monotonic())


def job_event(snapshot: Snapshot) -> Event:
    """The state of a job as an event."""
    event_id = f"{snapshot.id}.{snapshot.revision}"
    return Event("job", event_id, snapshot.body, last=snapshot.state.final)


def event_stream(topic: str, read: Callable[[], Event]) -> Response:
    """What `read` gives, now and after every change of the topic, until it is the last."""
    first = read()  # a refusal must come before the stream begins
    last_seen = request.headers.get("Last-Event-ID")
    if first.last and first.id == last_seen:
        # The one answer that keeps a browser from coming back for ever.
        return Response(status=204)
    services = current_services()
    return _streamed(services, lambda: _follow(services, topic, read, last_seen))


@blueprint.route("/events")
@blueprint.response(200, content_type=MEDIA_TYPE, description="`event: job`, `data:` a job.")
@blueprint.refusals(401, 403, 503)
def every_event() -> Response:
    """Follow every job that the key may see.

    It begins with the next change. `event: resync` says that changes may have been missed: list
    the jobs again.
    """
    services, owner = current_services(), caller().owner
    services.store.server.ping()
    resuming = "Last-Event-ID" in request.headers
    return _streamed(services, lambda: _follow_all(services, owner, resuming))


def _streamed(services: Services, begin: Callable[[], Iterator[bytes]]) -> Response:
    headers = {"X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(headers=headers, content_type=MEDIA_TYPE)
    services.waiting.enter()
    response = Response(begin(), headers=headers, content_type=MEDIA_TYPE)
    response.call_on_close(services.waiting.leave)
    return response


def _follow(
    services: Services, topic: str, read: Callable[[], Event], seen: str | None
) -> Iterator[bytes]:
    pulse = _Pulse()
    with services.changes.watch(topic) as watcher:
        yield _PREAMBLE
        while not services.closing.is_set():
            began = time.monotonic()
            event = _read_now(read)
            took = time.monotonic() - began
            if event is not None and event.id != seen:
                yield pulse.told(event.encode())
                seen = event.id
            if event is not None and event.last:
                return
            if watcher.wait(pulse.seconds_left()):
                # What is dear to read, as a thousand jobs, is read less often.
                pause = began + max(MIN_INTERVAL_SECONDS, 5 * took) - time.monotonic()
                time.sleep(max(0.0, min(pause, pulse.seconds_left())))
            if not pulse.seconds_left():
                yield pulse.told(_HEARTBEAT)


def _read_now(read: Callable[[], Event]) -> Event | None:
    """The event, or None while the store is away: the stream outlives a restart of it."""
    try:
        return read()
    except StoreUnavailable:
        return None
    except NotFound:
        return Event("deleted", "deleted", b"{}", last=True)


def _follow_all(services: Services, owner: str | None, resuming: bool) -> Iterator[bytes]:
    missed = Event("resync", "resync", b"{}").encode()
    pulse = _Pulse()
    with services.changes.watch(EVERYTHING) as watcher:
        yield _PREAMBLE
        if resuming:
            yield missed
        while not services.closing.is_set():
            if watcher.wait(pulse.seconds_left()):
                time.sleep(MIN_INTERVAL_SECONDS)
                changed = watcher.changed()
                if EVERYTHING in changed:
                    yield pulse.told(missed)
                for block in _events_of(services, sorted(changed - {EVERYTHING}), owner):
                    yield pulse.told(block)
            # What woke this may have been for others: only what was written here counts.
            if not pulse.seconds_left():
                yield pulse.told(_HEARTBEAT)


def _events_of(services: Services, ids: list[str], owner: str | None) -> Iterator[bytes]:
    for changed_id in ids:
        try:
            yield job_event(services.store.jobs.snapshot(changed_id, owner)).encode()
        except NotFound:
            continue  # a batch, a deleted job, or another's
        except StoreUnavailable:
            return  # the subscription will say that changes were missed
