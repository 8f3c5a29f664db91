"""Whether the process lives, can serve, and how the whole system does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response

from config.api import API_BASE
from tasks.errors import StorageFull, StorageUnavailable, StoreFull, StoreUnavailable
from tasks.metrics.report import WorkerReport
from web.http.openapi import Blueprint
from web.http.responses import json_answer, json_bytes
from web.http.services import Services, current_services
from web.http.version import VERSION
from web.schemas.answers import HealthSchema

log = logging.getLogger(__name__)

blueprint = Blueprint("health", __name__, description="Probes.")

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
_TOOLS = ("ffmpeg", "yt_dlp")
Service = dict[str, Any]


@blueprint.route("/livez")
@blueprint.response(200)
def live() -> Response:
    """Tell that the process answers at all."""
    return json_answer(json_bytes({"status": "ok"}))


@blueprint.route("/readyz")
@blueprint.response(200)
@blueprint.alt_response(503, description="A request that needs the part would fail.")
def ready() -> Response:
    """Tell whether a submission would be accepted: the store and the storage answer."""
    services = current_services()
    parts = {"redis": _writable(services), "storage": _storage(services)}
    good = all(part["status"] != UNHEALTHY for part in parts.values())
    return _answer({"status": "ready" if good else "not ready", "services": parts}, good)


@blueprint.route("/health")
@blueprint.route(f"{API_BASE}/system/health")
@blueprint.response(200, HealthSchema)
@blueprint.alt_response(503, schema=HealthSchema, description="Jobs cannot be accepted.")
def health() -> Response:
    """Tell how every part does. Without a worker it is degraded: jobs are kept, but wait."""
    services = current_services()
    parts = _services(services)
    states = {part["status"] for part in parts.values()}
    worst = next(state for state in (UNHEALTHY, DEGRADED, HEALTHY) if state in states)
    body = {
        "status": worst,
        "version": VERSION,
        "uptime_seconds": round(time.time() - services.started_at, 3),
        "services": parts,
    }
    return _answer(body, worst != UNHEALTHY)


def _answer(body: Mapping[str, Any], good: bool) -> Response:
    return json_answer(json_bytes(body), 200 if good else 503)


def _services(services: Services) -> dict[str, Service]:
    redis = _redis(services)
    workers: Sequence[WorkerReport] = []
    if redis["status"] != UNHEALTHY:
        try:
            workers = services.store.workers.present()
        except StoreUnavailable:
            redis = {"status": UNHEALTHY}
    return {
        "redis": redis,
        **({} if _carries_messages(services) else {"broker": _broker(services)}),
        "workers": _workers(workers),
        "storage": _storage(services),
        **{tool: _tool(tool, workers) for tool in _TOOLS},
    }


def _redis(services: Services) -> Service:
    def look() -> None:
        services.store.room.check()
        services.store.server.ping()

    return _store_after(look, when_full=DEGRADED)


def _writable(services: Services) -> Service:
    return _store_after(services.store.room.try_to_write, when_full=UNHEALTHY)


def _store_after(look: Callable[[], None], when_full: str) -> Service:
    try:
        look()
    except StoreFull as error:
        return {"status": when_full, "reason": error.message}
    except StoreUnavailable:
        return {"status": UNHEALTHY}
    return {"status": HEALTHY}


def _carries_messages(services: Services) -> bool:
    """Whether the record store's server is the broker as well."""
    return services.settings.broker_url == services.settings.redis_url


def _broker(services: Services) -> Service:
    """Without it jobs are accepted, but nobody is told of them until it is back."""
    try:
        services.broker.ping()
    except StoreUnavailable:
        return {"status": DEGRADED}
    return {"status": HEALTHY}


def _workers(workers: Sequence[WorkerReport]) -> Service:
    return {
        "status": HEALTHY if workers else DEGRADED,
        "count": len(workers),
        "running": sum(worker.running for worker in workers),
        "concurrency": sum(worker.concurrency for worker in workers),
    }


def _storage(services: Services) -> Service:
    try:
        services.storage.check()
        free = services.storage.free_bytes()
    except (StorageFull, StorageUnavailable) as error:
        log.warning(error.message, extra={"values": {"storage": services.settings.storage_url}})
        return {"status": UNHEALTHY, "reason": error.message}
    if free is None:  # no limit is known
        return {"status": HEALTHY}
    low = free < services.settings.min_free_disk_bytes
    return {"status": DEGRADED if low else HEALTHY, "free_bytes": free}


def _tool(name: str, workers: Sequence[WorkerReport]) -> Service:
    """A tool is where the workers are; each says which version it has."""
    versions = sorted({worker.tools[name] for worker in workers if worker.tools.get(name)})
    return {"status": HEALTHY if versions else DEGRADED, "versions": versions}
