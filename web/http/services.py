"""The collaborators of the views, built once in `app` and reached through the application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import cast

from flask import Flask, current_app, g

from config.settings import Settings
from tasks.access.link_secrets import LinkSecrets
from tasks.access.rates import Rates
from tasks.access.use import Use
from tasks.dispatch import Dispatcher
from tasks.dispatch.broker import Broker
from tasks.outbox import Outbox
from tasks.storage import Storage
from tasks.storage.incoming import Incoming
from tasks.store import Changes, Store
from web.http.auth import Authenticator, Caller
from web.http.slots import Places

EXTENSION = "clipmill"


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
    links: LinkSecrets
    started_at: float
    places: Places
    incoming: Incoming
    outbox: Outbox
    rates: Rates
    use: Use
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
