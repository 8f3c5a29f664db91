"""Webhooks over HTTP: register URLs, see what was delivered, send it again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Response

from config.api import API_BASE
from tasks.outbox.deliveries import Delivery, DeliveryQuery
from tasks.outbox.endpoints import Endpoint
from tasks.outbox.secrets import Secret
from tasks.rendering import rfc3339
from tasks.signing import public_key
from tasks.webhook import BATCH_FINISHED, Webhook
from web.http.errors import Forbidden
from web.http.openapi import Blueprint
from web.http.responses import json_answer, json_bytes
from web.http.services import caller, current_services
from web.schemas.parts import WebhookSchema
from web.schemas.webhooks import (
    DeliveryListSchema,
    DeliveryPageSchema,
    DeliverySchema,
    EndpointListSchema,
    EndpointSchema,
    PublicKeysSchema,
    ReplayedSchema,
    ReplaySchema,
    SecretSchema,
)

PUBLIC_KEYS_PATH = "/.well-known/webhook-keys"
blueprint = Blueprint(
    "webhooks", __name__, url_prefix=f"{API_BASE}/webhooks", description="Who is told of ends."
)
well_known = Blueprint("well_known", __name__, description="What everyone may read.")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(WebhookSchema)
@blueprint.response(201, EndpointSchema, headers={"Location": {"schema": {"type": "string"}}})
@blueprint.refusals(400, 401, 403, 409, 413, 415, 503)
def register(webhook: Webhook) -> Response:
    """Register a URL: from now on it is told of the ends of all jobs and batches of this key."""
    services = current_services()
    services.dispatcher.check_webhook(webhook)
    endpoint = services.outbox.endpoints.register(webhook, caller().name)
    headers = {"Location": f"{API_BASE}/webhooks/{endpoint.id}"}
    return json_answer(json_bytes(_endpoint(endpoint)), HTTPStatus.CREATED, headers)


@blueprint.route("")
@blueprint.response(200, EndpointListSchema)
@blueprint.refusals(401, 403, 503)
def list_webhooks() -> Response:
    """List the registered URLs of this key."""
    found = current_services().outbox.endpoints.of(caller().name)
    return json_answer(json_bytes({"webhooks": [_endpoint(endpoint) for endpoint in found]}))


@blueprint.route("/<webhook_id>")
@blueprint.response(200, EndpointSchema)
@blueprint.refusals(401, 403, 404, 503)
def read(webhook_id: str) -> Response:
    """Read a registered URL."""
    endpoint = current_services().outbox.endpoints.get(webhook_id, caller().name)
    return json_answer(json_bytes(_endpoint(endpoint)))


@blueprint.route("/<webhook_id>", methods=["DELETE"])
@blueprint.response(204)
@blueprint.refusals(401, 403, 404, 503)
def delete(webhook_id: str) -> Response:
    """Tell this URL nothing more: what still waits for it fails."""
    current_services().outbox.endpoints.delete(webhook_id, caller().name)
    return Response(status=HTTPStatus.NO_CONTENT)


@blueprint.route("/<webhook_id>/enable", methods=["POST"])
@blueprint.response(200, EndpointSchema)
@blueprint.refusals(401, 403, 404, 503)
def enable(webhook_id: str) -> Response:
    """Use a URL again that was disabled because it answered 410, or do not wait for its pause."""
    endpoint = current_services().outbox.endpoints.enable(webhook_id, caller().name)
    return json_answer(json_bytes(_endpoint(endpoint)))


@blueprint.route("/secret")
@blueprint.response(200, SecretSchema)
@blueprint.refusals(401, 403, 503)
def secret() -> Response:
    """Read the secret that verifies the messages to this key's URLs. Needs the scope `submit`."""
    if not caller().may("submit"):
        raise Forbidden("this key does not have the scope `submit`")
    return json_answer(json_bytes(_secret(current_services().outbox.secrets.of(caller().name))))


@blueprint.route("/secret/rotate", methods=["POST"])
@blueprint.response(200, SecretSchema)
@blueprint.refusals(401, 403, 503)
def rotate() -> Response:
    """Make a new secret. For a day every message has two signatures, of the old one and the new."""
    return json_answer(json_bytes(_secret(current_services().outbox.secrets.rotate(caller().name))))


@blueprint.route("/deliveries")
@blueprint.arguments(DeliveryListSchema(), location="query")
@blueprint.response(200, DeliveryPageSchema)
@blueprint.refusals(401, 403, 503)
def list_deliveries(query: DeliveryQuery) -> Response:
    """List the messages to this key's URLs, newest first, of the last three days."""
    page = current_services().outbox.deliveries.page(query, caller().name)
    shown = [_delivery(delivery) for delivery in page.items]
    return json_answer(json_bytes({"deliveries": shown, "next_cursor": page.next_cursor}))


@blueprint.route("/deliveries/<delivery_id>")
@blueprint.response(200, DeliverySchema)
@blueprint.refusals(401, 403, 404, 503)
def read_delivery(delivery_id: str) -> Response:
    """Read what became of a message."""
    delivery = current_services().outbox.deliveries.get(delivery_id, caller().owner)
    return json_answer(json_bytes(_delivery(delivery)))


@blueprint.route("/deliveries/<delivery_id>/redeliver", methods=["POST"])
@blueprint.response(202, DeliverySchema)
@blueprint.refusals(401, 403, 404, 409, 503)
def redeliver(delivery_id: str) -> Response:
    """Send a message that was delivered or has failed again, under the same `webhook-id`."""
    delivery = current_services().outbox.deliveries.redeliver(delivery_id, caller().owner)
    return json_answer(json_bytes(_delivery(delivery)), HTTPStatus.ACCEPTED)


@blueprint.route("/deliveries/redeliver", methods=["POST"])
@blueprint.arguments(ReplaySchema)
@blueprint.response(202, ReplayedSchema)
@blueprint.refusals(400, 401, 403, 413, 415, 503)
def replay(asked: tuple[float, float, str | None]) -> Response:
    """Send all messages of a time again, under their ids: after an outage of the receiver."""
    count = current_services().outbox.deliveries.replay(caller().name, *asked)
    return json_answer(json_bytes({"redelivered": count}), HTTPStatus.ACCEPTED)


@well_known.route(PUBLIC_KEYS_PATH)
@well_known.response(200, PublicKeysSchema)
@well_known.refusals(503)
def public_keys() -> Response:
    """List the public keys that verify `v1a` signatures: a receiver needs no secret for them."""
    keys = [{"public_key": public_key(current_services().outbox.secrets.private_key())}]
    return json_answer(json_bytes({"keys": keys}))


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        **vars(endpoint),
        "events": list(endpoint.events),
        "created_at": rfc3339(endpoint.created_at),
    }


def _secret(secret: Secret) -> dict[str, Any]:
    return {
        "secret": secret.current,
        "previous": secret.previous,
        "previous_until": rfc3339(secret.previous_until),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    of_batch = delivery.type == BATCH_FINISHED
    return {
        "id": delivery.id,
        "type": delivery.type,
        "url": delivery.url,
        "webhook_id": delivery.endpoint if delivery.endpoint.startswith("e") else None,
        "job_id": None if of_batch else delivery.subject,
        "batch_id": delivery.subject if of_batch else None,
        "state": delivery.state,
        "created_at": rfc3339(delivery.at),
        "next_try_at": rfc3339(delivery.due),
        "finished_at": rfc3339(delivery.ended_at),
        "attempts": delivery.attempts,
        "tries": [{**each, "at": rfc3339(each.get("at"))} for each in delivery.tries],
    }
