"""Failed jobs as a whole: how often they failed with which error, and retrying many of them."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from config.api import API_BASE
from tasks.store import JobQuery
from web.http.openapi import Blueprint
from web.http.responses import json_answer, json_bytes
from web.http.services import caller, current_services
from web.schemas.answers import FailuresSchema, RetriedSchema
from web.schemas.queries import RetrySchema

blueprint = Blueprint(
    "failures", __name__, url_prefix=f"{API_BASE}/failures", description="Failed jobs as a whole."
)


@blueprint.route("")
@blueprint.response(200, FailuresSchema)
@blueprint.refusals(401, 403, 503)
def summary() -> Response:
    """List the errors of the newest failed jobs (up to 2,000), the most frequent error first.

    The jobs themselves: `GET /jobs?state=failed&error_code=…`.
    """
    groups = current_services().store.queries.failures(caller().owner)
    return json_answer(json_bytes({"failures": [asdict(group) for group in groups]}))


@blueprint.route("/retry", methods=["POST"])
@blueprint.arguments(RetrySchema)
@blueprint.response(202, RetriedSchema)
@blueprint.refusals(400, 401, 403, 413, 415, 503)
def retry(query: JobQuery) -> Response:
    """Run failed jobs again, newest first: the jobs of a kind, an error code or a batch, or all."""
    retried = current_services().dispatcher.retry_failed(query, caller().owner)
    return json_answer(json_bytes({"retried": retried}), 202)
