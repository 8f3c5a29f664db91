"""What the views work with, built once in `app` and found again through the application."""

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
from tasks.store import Changes, Store
from web.http.auth import Authenticator, Caller
from web.http.errors import TooManyTransfers, TooManyWaiting

EXTENSION = "clipmill"


class Room:
    """Counts the requests that hold a thread for long, so that they never take the last one."""

    def __init__(self, places: int, refusal: type[RequestError], message: str) -> None:
        self._places = BoundedSemaphore(places)
        self._refusal = refusal
        self._message = message

    def enter(self) -> None:
        """Take a place. Raises the room's refusal when there is none."""
        if not self._places.acquire(blocking=False):
            raise self._refusal(self._message)

    def leave(self) -> None:
        """Give the place back."""
        self._places.release()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for the time of the block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


class WaitingRoom(Room):
    """For requests that wait (`?wait=`, events). Refuses with TooManyWaiting."""

    def __init__(self, places: int = MOST_WAITING) -> None:
        message = "too many requests wait already; ask again without waiting"
        super().__init__(places, TooManyWaiting, message)


class TransferRoom(Room):
    """For answers of a file's length, which last as long as their clients read.

    Refuses with TooManyTransfers.
    """

    def __init__(self, places: int) -> None:
        message = "too many files are being sent already; ask again later"
        super().__init__(places, TooManyTransfers, message)


def _room_for_long_bodies() -> Room:
    """Each is held whole, as text and as values; more at once are memory for nothing."""
    message = "too many long requests are being read already; ask again later"
    return Room(4, TooManyTransfers, message)


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
    transfers: TransferRoom
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    long_bodies: Room = field(default_factory=_room_for_long_bodies)
    closing: Event = field(default_factory=Event)
    at_end: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Let every request that waits end now, so that the server can stop."""
        self.closing.set()
        self.changes.stop()

    def finish(self) -> None:
        """Hand on what is kept in this process alone. Nothing is served any more."""
        for hand_on in self.at_end:
            hand_on()


def services_of(app: Flask) -> Services:
    """Those of this application."""
    return cast(Services, app.extensions[EXTENSION])


def current_services() -> Services:
    """Those of the application that serves the present request."""
    return services_of(current_app)


def caller() -> Caller:
    """Who makes the present request."""
    return cast(Caller, g.caller)
