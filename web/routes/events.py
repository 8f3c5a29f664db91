"""Streams of events (text/event-stream): the present state, then every change until the last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from config.api import API_BASE
from tasks.errors import NotFound, StoreUnavailable
from tasks.store import Snapshot, Store
from tasks.store.changes import Watcher
from web.http.link_answer import link_answer
from web.http.openapi import Blueprint
from web.http.presence import client_presence
from web.http.services import caller, current_services
from web.schemas.links import EventLinkRequestSchema, LinkSchema

log = logging.getLogger(__name__)
blueprint = Blueprint("events", __name__, url_prefix=API_BASE, description="All changes, live.")

MEDIA_TYPE = "text/event-stream"
EVERYTHING = "*"
# Proxies drop a silent connection, and only a write detects that a client has disconnected.
HEARTBEAT_SECONDS = 10.0
# Changes that come faster are sent together.
MIN_INTERVAL_SECONDS = 0.05
# How soon a browser reconnects when the connection breaks.
_PREAMBLE = b"retry: 2000\n\n"
_HEARTBEAT = b": still here\n\n"


@dataclass(frozen=True)
class Event:
    """One event. A client that reconnects sends its `id` as `Last-Event-ID`."""

    name: str
    id: str
    data: bytes
    last: bool = False

    def encode(self) -> bytes:
        """The event in the form of the stream; `data` is one line of JSON."""
        name, event_id = self.name.encode(), self.id.encode()
        return b"event: %b\nid: %b\ndata: %b\n\n" % (name, event_id, self.data)


class _Heartbeat:
    """When a stream has to send a heartbeat, counted from the last block that it sent."""

    def __init__(self) -> None:
        self._sent_at = time.monotonic()

    def sent(self, block: bytes) -> bytes:
        """The block, which is sent now."""
        self._sent_at = time.monotonic()
        return block

    def seconds_left(self) -> float:
        """Until the heartbeat; 0 when it is due."""
        return max(0.0, self._sent_at + HEARTBEAT_SECONDS - time.monotonic())


class _Listener:
    """Who follows a stream, made in the request that begins it."""

    def __init__(self) -> None:
        self._services = current_services()
        self._caller = caller()
        self._client = client_presence()

    @property
    def owner(self) -> str | None:
        """The owner whose jobs may be told; None means all owners."""
        return self._caller.owner

    def admitted(self) -> bool:
        """Whether the client is there and its key still counts: asked before each event."""
        ends = self._services.closing.is_set() or self._client.gone
        return not ends and self._services.authenticator.admits(self._caller)

    @contextmanager
    def watch(self, topic: str) -> Iterator[Watcher]:
        """A watcher that also wakes when the client leaves."""
        with self._services.changes.watch(topic) as watcher, self._client.waking(watcher.wake):
            yield watcher


def job_event(snapshot: Snapshot) -> Event:
    """The state of a job as an event."""
    event_id = f"{snapshot.id}.{snapshot.revision}"
    return Event("job", event_id, snapshot.body, last=snapshot.state.final)


def event_stream(topic: str, read: Callable[[], Event]) -> Response:
    """What `read` returns, now and after every change of the topic, until it is the last event."""
    first = read()  # an error answer must come before the stream begins
    last_seen = request.headers.get("Last-Event-ID")
    if first.last and first.id == last_seen:
        # Only this answer keeps a browser from reconnecting for ever.
        return Response(status=204)
    listener = _Listener()
    return _streamed(lambda: _follow(topic, read, last_seen, listener))


@blueprint.route("/events")
@blueprint.response(200, content_type=MEDIA_TYPE, description="`event: job`, `data:` a job.")
@blueprint.refusals(401, 403, 503)
def every_event() -> Response:
    """Follow every job that the key may see.

    The stream begins with the next change. `event: resync` means that changes may have been missed:
    list the jobs again.
    """
    store, listener = current_services().store, _Listener()
    store.server.ping()
    resuming = "Last-Event-ID" in request.headers
    return _streamed(lambda: _follow_all(store, resuming, listener))


@blueprint.route("/events/links", methods=["POST"])
@blueprint.arguments(EventLinkRequestSchema)
@blueprint.response(201, LinkSchema)
@blueprint.refusals(400, 401, 403, 404, 413, 415, 503)
def make_link(asked: dict[str, Any]) -> Response:
    """Make a link to an event stream, for a browser's `EventSource`, which sends no header."""
    store, owner = current_services().store, caller().owner
    path = "/events"
    if "job_id" in asked:
        path = f"/jobs/{store.jobs.snapshot(asked['job_id'], owner).id}/events"
    elif "batch_id" in asked:
        path = f"/batches/{store.batches.get(asked['batch_id'], owner).id}/events"
    return link_answer(API_BASE + path, asked["expires_in"])


def _streamed(begin: Callable[[], Iterator[bytes]]) -> Response:
    services = current_services()
    headers = {"X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(headers=headers, content_type=MEDIA_TYPE)
    leave = services.places.waiting.enter(caller().name)
    response = Response(begin(), headers=headers, content_type=MEDIA_TYPE)
    response.call_on_close(leave)
    return response


def _follow(
    topic: str, read: Callable[[], Event], seen: str | None, listener: _Listener
) -> Iterator[bytes]:
    heartbeat = _Heartbeat()
    with listener.watch(topic) as watcher:
        yield _PREAMBLE
        while listener.admitted():
            began = time.monotonic()
            event = _read_now(read)
            took = time.monotonic() - began
            if event is not None and event.id != seen:
                yield heartbeat.sent(event.encode())
                seen = event.id
            if event is not None and event.last:
                return
            if watcher.wait(heartbeat.seconds_left()):
                # A topic that takes long to read, such as a thousand jobs, is read less often.
                pause = began + max(MIN_INTERVAL_SECONDS, 5 * took) - time.monotonic()
                time.sleep(max(0.0, min(pause, heartbeat.seconds_left())))
            if not heartbeat.seconds_left():
                yield heartbeat.sent(_HEARTBEAT)


def _read_now(read: Callable[[], Event]) -> Event | None:
    """The event, or None while the store is down: the stream outlives a restart of the store."""
    try:
        return read()
    except StoreUnavailable:
        return None
    except NotFound:
        return Event("deleted", "deleted", b"{}", last=True)


def _follow_all(store: Store, resuming: bool, listener: _Listener) -> Iterator[bytes]:
    missed = Event("resync", "resync", b"{}").encode()
    heartbeat = _Heartbeat()
    with listener.watch(EVERYTHING) as watcher:
        yield _PREAMBLE
        if resuming:
            yield missed
        while listener.admitted():
            if watcher.wait(heartbeat.seconds_left()):
                time.sleep(MIN_INTERVAL_SECONDS)
                if not listener.admitted():
                    return
                changed = watcher.changed()
                if EVERYTHING in changed:
                    yield heartbeat.sent(missed)
                for block in _events_of(store, sorted(changed - {EVERYTHING}), listener.owner):
                    yield heartbeat.sent(block)
            # The change may belong to other owners: only a block that was sent counts.
            if not heartbeat.seconds_left():
                yield heartbeat.sent(_HEARTBEAT)


def _events_of(store: Store, ids: list[str], owner: str | None) -> Iterator[bytes]:
    for changed_id in ids:
        try:
            yield job_event(store.jobs.snapshot(changed_id, owner)).encode()
        except NotFound:
            continue  # a batch, a deleted job, or another owner's job
        except StoreUnavailable:
            return  # the subscription reports that changes were missed
