"""Keys over HTTP: what they may do and use. They are made on the command line alone."""

from __future__ import annotations

from typing import Any

from flask import Response

from config.api import API_BASE
from tasks.access.adoption import Adoption
from tasks.errors import NotFound
from tasks.rendering import rfc3339
from web.http.api_keys import Key
from web.http.errors import Forbidden
from web.http.openapi import Blueprint
from web.http.responses import json_answer, json_bytes
from web.http.services import caller, current_services
from web.schemas.keys import AdoptedSchema, KeyListSchema, OwnKeySchema

blueprint = Blueprint("keys", __name__, url_prefix=f"{API_BASE}/keys", description="API keys.")


@blueprint.route("")
@blueprint.response(200, KeyListSchema)
@blueprint.refusals(401, 403, 503)
def list_keys() -> Response:
    """List all keys with their limits and their last use. Needs the scope `admin`."""
    _require_admin()
    services = current_services()
    used = services.use.last_used()
    # A key that was rotated lately is there twice; the first one is the present one.
    keys = {key.name: key for key in reversed(services.authenticator.present())}
    shown = [_shown(keys[name], used) for name in sorted(keys)]
    return json_answer(json_bytes({"keys": shown}))


@blueprint.route("/self")
@blueprint.response(200, OwnKeySchema)
@blueprint.refusals(401, 403, 404, 503)
def read_own() -> Response:
    """Read what the key of this request may do, and what it has used today."""
    services, who = current_services(), caller()
    keys = [key for key in services.authenticator.present() if key.digest == who.digest]
    if not keys:
        raise NotFound("this request has no key: the API answers without keys here")
    used = services.use.today(who.name)
    today = {"bytes": used.bytes, "media_seconds": round(used.media_seconds, 3)}
    shown = _shown(keys[0], services.use.last_used())
    return json_answer(json_bytes({**shown, "used_today": today}))


@blueprint.route("/<name>/adopt", methods=["POST"])
@blueprint.response(200, AdoptedSchema)
@blueprint.refusals(401, 403, 404, 503)
def adopt(name: str) -> Response:
    """Give the jobs that were made without a key to this key. Needs the scope `admin`."""
    _require_admin()
    services = current_services()
    if all(key.name != name for key in services.authenticator.present()):
        raise NotFound("there is no such key")
    return json_answer(json_bytes(vars(Adoption(services.store).adopt(name))))


def _require_admin() -> None:
    if not caller().may("admin"):
        raise Forbidden("this key does not have the scope `admin`")


def _shown(key: Key, used: dict[str, float]) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": sorted(key.scopes),
        "expires_at": rfc3339(key.expires_at),
        "networks": [str(network) for network in key.networks],
        "limits": key.limits.to_dict(),
        "last_used_at": rfc3339(used.get(key.name)),
    }
