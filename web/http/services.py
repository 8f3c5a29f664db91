"""The collaborators of the views, built once in `app` and reached through the application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Event
from typing import cast

from flask import Flask, current_app, g

from config.memory import MOST_WAITING
from config.settings import Settings
from tasks.dispatch import Dispatcher
from tasks.dispatch.broker import Broker
from tasks.errors import RequestError
from tasks.storage import Storage
from tasks.storage.incoming import Incoming
from tasks.store import Changes, Store
from web.http.auth import Authenticator, Caller
from web.http.errors import TooManyTransfers, TooManyWaiting

EXTENSION = "clipmill"


class Slots:
    """Limits the requests that hold a thread for long, so that they never take the last thread."""

    def __init__(self, count: int, refusal: type[RequestError], message: str) -> None:
        self.count = count
        self._free = BoundedSemaphore(count)
        self._refusal = refusal
        self._message = message

    def enter(self) -> None:
        """Acquire a slot. Raises the given error when no slot is free."""
        if not self._free.acquire(blocking=False):
            raise self._refusal(self._message)

    def leave(self) -> None:
        """Release the slot."""
        self._free.release()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot for the time of the block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


class WaitingSlots(Slots):
    """For requests that wait (`?wait=`, events). Raises TooManyWaiting."""

    def __init__(self, count: int = MOST_WAITING) -> None:
        message = "too many requests wait already; send the request without waiting"
        super().__init__(count, TooManyWaiting, message)


class TransferSlots(Slots):
    """For answers that send a file, which last as long as their clients read.

    Raises TooManyTransfers.
    """

    def __init__(self, count: int) -> None:
        message = "too many files are being sent already; try again later"
        super().__init__(count, TooManyTransfers, message)


def _slots_for_long_bodies() -> Slots:
    """A long body is held whole, as text and as values; more at once would only cost memory."""
    message = "too many long requests are being read already; try again later"
    return Slots(4, TooManyTransfers, message)


def _slots_for_files() -> Slots:
    """A file that comes holds a thread for as long as its client sends."""
    message = "too many files are being received already; try again later"
    return Slots(32, TooManyTransfers, message)


@dataclass(frozen=True)
class Services:
    """The collaborators of one application."""

    settings: Settings
    store: Store
    broker: Broker
    dispatcher: Dispatcher
    storage: Storage
    changes: Changes
    authenticator: Authenticator
    started_at: float
    transfers: TransferSlots
    incoming: Incoming
    waiting: WaitingSlots = field(default_factory=WaitingSlots)
    long_bodies: Slots = field(default_factory=_slots_for_long_bodies)
    receiving: Slots = field(default_factory=_slots_for_files)
    closing: Event = field(default_factory=Event)
    at_end: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """End every request that waits, so that the server can stop."""
        self.closing.set()
        self.changes.stop()

    def finish(self) -> None:
        """Write out what only this process holds. Called after the last request."""
        for hand_on in self.at_end:
            hand_on()


def services_of(app: Flask) -> Services:
    """The collaborators of this application."""
    return cast(Services, app.extensions[EXTENSION])


def current_services() -> Services:
    """The collaborators of the application that serves the present request."""
    return services_of(current_app)


def caller() -> Caller:
    """The sender of the present request."""
    return cast(Caller, g.caller)
