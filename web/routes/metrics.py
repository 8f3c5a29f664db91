"""/metrics, for Prometheus."""

from __future__ import annotations

from flask import Response

from web.http.openapi import Blueprint
from web.metrics.exposition import exposition

blueprint = Blueprint("metrics", __name__, description="Numbers for Prometheus.")


@blueprint.route("/metrics")
@blueprint.response(200, content_type="text/plain")
def expose() -> Response:
    """Report all metrics in the text format of Prometheus."""
    return exposition()
