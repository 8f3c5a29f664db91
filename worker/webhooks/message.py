"""The body of a message: what happened, in the form of Standard Webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tasks.batch import Batch
from tasks.outbox.deliveries import Delivery
from tasks.rendering import public_batch, rfc3339
from tasks.webhook import BATCH_FINISHED

LONGEST_BODY = 20_000  # receivers refuse more
_SHORT_TEXT = 500


def body_of(delivery: Delivery) -> str:
    """The same on every try."""
    document = json.loads(delivery.document)
    if delivery.type == BATCH_FINISHED:
        before, after = public_batch(Batch.of(delivery.subject, document))
        data: dict[str, Any] = {**before, **after}
    else:
        data = _without_secrets(document)
    text = _text(delivery, data)
    for shorten in _SHORTER:
        if len(text.encode()) <= LONGEST_BODY:
            break
        data = shorten(data)
        text = _text(delivery, data)
    return text


def _text(delivery: Delivery, data: Mapping[str, Any]) -> str:
    message = {"type": delivery.type, "timestamp": rfc3339(delivery.at), "data": data}
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace").decode()  # a title may hold half a surrogate pair


def _without_secrets(job: dict[str, Any]) -> dict[str, Any]:
    """The job without the queries of its sources' URLs, which may be signed."""
    spec = job["spec"]
    urls = [source.get("url") for source in (spec.get("source", {}), *spec.get("sources", []))]
    queries = [f"?{query}" for url in urls if url and (query := urlsplit(url).query)]

    def cleaned(text: str) -> str:
        for query in queries:
            text = text.replace(query, "")
        return text

    plain: dict[str, Any] = _each_text(job, cleaned)
    plain.pop("webhook", None)
    return plain


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(item, change) for item in value]
    if isinstance(value, dict):
        return {name: _each_text(item, change) for name, item in value.items()}
    return value


def _only_names_of_files(job: dict[str, Any]) -> dict[str, Any]:
    """The result without the long description of a page, or the error without its details."""
    result, error = job.get("result"), job.get("error")
    if result:
        kept = {name: result[name] for name in ("artifacts", "peak_memory_bytes") if name in result}
        job = job | {"result": {**kept, "shortened": True}}
    if error:
        short = {"message": error["message"][:_SHORT_TEXT], "detail": {}}
        job = job | {"error": error | short}
    return job


def _only_links(job: dict[str, Any]) -> dict[str, Any]:
    """What identifies the job, and where to read the rest."""
    names = ("id", "kind", "state", "batch_id", "external_id", "finished_at", "links")
    return {name: job.get(name) for name in names} | {"shortened": True}


_SHORTER = (_only_names_of_files, _only_links)
