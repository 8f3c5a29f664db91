"""The start page of the API: its name, version and endpoints."""

from __future__ import annotations

from flask import Response

from config.api import API_BASE
from web.http.openapi import Blueprint
from web.http.responses import json_answer, json_bytes
from web.http.version import VERSION

blueprint = Blueprint("root", __name__, description="The front door.")

_ENDPOINTS = {
    "jobs": f"{API_BASE}/jobs",
    "batches": f"{API_BASE}/batches",
    "uploads": f"{API_BASE}/uploads",
    "artifacts": f"{API_BASE}/artifacts/{{id}}",
    "events": f"{API_BASE}/events",
    "health": f"{API_BASE}/system/health",
    "bottleneck": f"{API_BASE}/system/bottleneck",
    "metrics": "/metrics",
    "openapi": f"{API_BASE}/openapi.json",
    "docs": "/docs",
}


@blueprint.route("/")
@blueprint.response(200)
def front_door() -> Response:
    """Report the name, the version and the endpoints."""
    return json_answer(
        json_bytes({"name": "clipmill", "version": VERSION, "endpoints": _ENDPOINTS})
    )
