"""/docs: the OpenAPI document as a page. Every byte comes from here, none from a CDN."""

from __future__ import annotations

from importlib.resources import files

import flask_swagger_ui
from flask import Response, send_from_directory
from werkzeug.exceptions import NotFound

from config.api import API_BASE
from web.http.openapi import Blueprint

blueprint = Blueprint("docs", __name__, description="The description of this API.")

_ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
# Swagger UI sets styles on elements and shows small pictures from data: URLs.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Clipmill API</title>
  <link rel="icon" href="/docs/favicon-32x32.png">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="page"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
_START = f"""SwaggerUIBundle({{
  url: "{API_BASE}/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
}});
"""


@blueprint.route("/docs")
@blueprint.response(200, content_type="text/html")
def page() -> Response:
    """Show this document as a page."""
    return Response(
        _PAGE,
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-cache"},
    )


def start_script() -> Response:
    """The page's script as a file of its own, since the page allows no inline script."""
    return Response(_START, content_type="text/javascript; charset=utf-8")


def asset(name: str) -> Response:
    """A file of Swagger UI."""
    if name not in _ASSETS:
        raise NotFound
    folder = str(files(flask_swagger_ui) / "dist")
    return send_from_directory(folder, name, max_age=3600)


# Assets are not part of the API, so the document does not list them.
blueprint.record(
    lambda state: state.app.add_url_rule("/docs/start.js", "docs.start_script", start_script)
)
blueprint.record(lambda state: state.app.add_url_rule("/docs/<name>", "docs.asset", asset))
