"""What the views work with, built once in `app` and found again through the application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Event
from typing import cast

from flask import Flask, current_app, g

from config.settings import Settings
from tasks.broker import Broker
from tasks.dispatch import Dispatcher
from tasks.storage import Storage
from tasks.store import Changes, Store
from web.auth import Caller, Gate
from web.errors import TooManyWaiting

EXTENSION = "clipmill"
# Requests that may wait at once. Each holds a thread, and some must stay free for the others.
MOST_WAITING = 1000


class WaitingRoom:
    """Counts the requests that wait, so that they never take the last thread."""

    def __init__(self, places: int = MOST_WAITING) -> None:
        self._places = BoundedSemaphore(places)

    def enter(self) -> None:
        """Take a place. Raises TooManyWaiting."""
        if not self._places.acquire(blocking=False):
            raise TooManyWaiting("too many requests wait already; ask again without waiting")

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


@dataclass(frozen=True)
class Services:
    """The collaborators of one application."""

    settings: Settings
    store: Store
    broker: Broker
    dispatcher: Dispatcher
    storage: Storage
    changes: Changes
    gate: Gate
    started_at: float
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
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


def services() -> Services:
    """Those of the application that serves the present request."""
    return services_of(current_app)


def caller() -> Caller:
    """Who makes the present request."""
    return cast(Caller, g.caller)
