"""The API's composition root: settings in, Flask application out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import quote

from flask import Flask, Response, g, request

from config.logs import log_context
from config.settings import Settings
from config.values import Network
from tasks.access.link_secrets import LinkSecrets
from tasks.access.rates import Rates
from tasks.access.use import Use
from tasks.dispatch import Dispatcher
from tasks.dispatch.broker import Broker, make_celery
from tasks.errors import StoreUnavailable
from tasks.outbox import Outbox
from tasks.storage import Storage, open_storage
from tasks.storage.incoming import Incoming
from tasks.store import Changes, Store
from tasks.store.durability import check_durability
from tasks.tracing.start import make_tracing
from web.http.audit import audit_requests
from web.http.auth import Authenticator
from web.http.client_address import client_address
from web.http.errors import REFUSAL
from web.http.headers import add_headers, request_id
from web.http.key_watch import KeyWatch
from web.http.openapi import make_api
from web.http.problems import register_problems
from web.http.rates import count_request, rate_headers
from web.http.receiving import sweep
from web.http.services import EXTENSION, Services
from web.http.slots import Places
from web.http.tracing import trace_requests
from web.http.version import VERSION
from web.metrics.exposition import Metrics, observe_requests
from web.routes import (
    artifacts,
    batches,
    bottleneck,
    docs,
    events,
    failures,
    health,
    jobs,
    keys,
    metrics,
    resumable,
    root,
    uploads,
    webhooks,
)
from web.schemas.documents import describe_requests

log = logging.getLogger(__name__)

_KEY_LOOK_SECONDS = 0.5
_SWEEP_SECONDS = 30.0


class StoreNotSet(Exception):
    """The API cannot start: no setting names its store."""


def create_app(
    settings: Settings,
    *,
    store: Store | None = None,
    dispatcher: Dispatcher | None = None,
    storage: Storage | None = None,
    changes: Changes | None = None,
) -> Flask:
    """The application with its collaborators; missing collaborators are made from the settings.

    Raises StoreNotSet, UnsafeStore when the settings do not allow such a store, and KeyFileError or
    OSError when the key file cannot be used.
    """
    if settings.redis_url is None or settings.broker_url is None:
        raise StoreNotSet(
            "CLIPMILL_REDIS_URL is not set: `clipmill up` starts an embedded server and sets it"
        )
    store = store or Store.for_requests(settings.redis_url, settings.store_memory_bytes)
    check_durability(store.server, settings.redis_policy)
    storage = storage or open_storage(settings.storage_url)
    broker = Broker(make_celery(settings.broker_url))
    links = LinkSecrets(store.connection)
    services = Services(
        settings=settings,
        store=store,
        storage=storage,
        broker=broker,
        dispatcher=dispatcher or Dispatcher(store, broker, storage, settings),
        changes=changes or _started(Changes(settings.redis_url)),
        authenticator=Authenticator(settings, links),
        links=links,
        started_at=time.time(),
        places=Places.by(settings),
        incoming=Incoming(settings.data_dir),
        outbox=Outbox(store.connection),
        rates=Rates(store.connection),
        use=Use(store.connection),
    )
    return _assembled(settings, services)


def _started(changes: Changes) -> Changes:
    changes.start()
    return changes


def _assembled(settings: Settings, services: Services) -> Flask:
    app = Flask("web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # Else `//` in a path would redirect: a second spelling, and a second answer, for one path.
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = services
    observer = Metrics(services.store)
    observer.requests.keep_handing_over(services.closing)
    _watch_keys(services)
    _keep_sweeping(services)
    tracing = make_tracing(settings.otlp_endpoint, "clipmill-api")
    services.at_end.extend((observer.requests.try_to_hand_over, tracing.close))
    _identify_requests(app, settings.trusted_proxies)
    audit_requests(app, settings.trusted_proxies)
    observe_requests(app, observer)
    trace_requests(app, tracing)
    _admit_requests(app, services)
    register_problems(app)
    api = make_api(app, VERSION)
    describe_requests(api.spec, api.ma_plugin.converter)
    for group in (
        root,
        health,
        bottleneck,
        jobs,
        batches,
        failures,
        artifacts,
        events,
        metrics,
        keys,
        docs,
        resumable,
        uploads,
        webhooks,
    ):
        api.register_blueprint(group.blueprint)
    api.register_blueprint(webhooks.well_known)
    return app


def _keep_sweeping(services: Services) -> None:
    """Remove files on their way that nobody waits for any more."""

    def keep() -> None:
        while not services.closing.wait(_SWEEP_SECONDS):
            try:
                sweep(services)
            except (StoreUnavailable, OSError) as error:
                log.warning("files on their way could not be looked through: %s", error)

    threading.Thread(target=keep, name="incoming", daemon=True).start()


def _watch_keys(services: Services) -> None:
    """Look at the key file: end the streams of revoked keys, and tell workers of limits."""
    watched = KeyWatch(services)

    def watch() -> None:
        while not services.closing.wait(_KEY_LOOK_SECONDS):
            watched.look()

    if not services.settings.insecure_no_auth:
        threading.Thread(target=watch, name="keys", daemon=True).start()


def _identify_requests(app: Flask, trusted_proxies: Sequence[Network]) -> None:
    """Put a request id on every answer and on the request's log lines."""

    @app.before_request
    def begin() -> None:
        g.request_id = request_id(request.environ)
        g.until_end = ExitStack()
        g.until_end.enter_context(log_context(request_id=g.request_id))

    @app.after_request
    def end(response: Response) -> Response:
        # A read is logged at debug level only; a change or a server error at info level.
        level = (
            logging.DEBUG
            if request.method == "GET" and response.status_code < 500
            else logging.INFO
        )
        values = {
            "client": client_address(request.environ, trusted_proxies),
            "method": request.method,
            "path": quote(request.path[:200]),
            "status": response.status_code,
        }
        log.log(level, "request", extra={"values": values})
        return add_headers(response, g.request_id)

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        g.until_end.close()


def _admit_requests(app: Flask, services: Services) -> None:
    """Reject a request without access, or without its body, before any route sees it."""

    @app.before_request
    def admit() -> None:
        g.caller = services.authenticator.authenticate(request.environ)
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            raise refusal
        count_request(services.rates, g.caller, request.environ)

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers.update(rate_headers(request.environ))
        return response
