"""The request bodies in the OpenAPI document, which marshmallow describes incompletely."""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter

from web.schemas.batches import MOST_JOBS
from web.schemas.parts import SourceSchema
from web.schemas.requests import REQUEST_SCHEMAS

_PREFIX = "#/components/schemas/"


def describe_requests(spec: APISpec, converter: OpenAPIConverter) -> None:
    """Add `JobRequest` (one of the kinds, chosen by `kind`) and `BatchRequest`."""
    spec.components.schema("Source", {"minProperties": 1, "maxProperties": 1}, schema=SourceSchema)
    names = {}
    for kind, schema in REQUEST_SCHEMAS.items():
        name = f"{kind.capitalize()}Request"
        spec.components.schema(name, _of_kind(kind, converter.schema2jsonschema(schema)))  # type: ignore[no-untyped-call]  # the library's gap
        names[kind] = f"{_PREFIX}{name}"
    spec.components.schema(
        "JobRequest",
        {
            "oneOf": [{"$ref": reference} for reference in names.values()],
            "discriminator": {"propertyName": "kind", "mapping": names},
            "example": _CLIP,
        },
    )
    spec.components.schema("BatchRequest", _BATCH)


def _of_kind(kind: str, described: dict[str, Any]) -> dict[str, Any]:
    """The schema of one kind's request, closed, with `kind` among its fields."""
    own = {"kind": {"type": "string", "enum": [kind]}}
    return {
        **described,
        "properties": {**own, **described["properties"]},
        "required": ["kind", *described.get("required", [])],
    }


_CLIP = {
    "kind": "clip", "source": {"url": "https://example.org/video"}, "start": 12.5, "end": "0:27.5"
}  # fmt: skip
_BATCH = {
    "type": "object",
    "required": ["jobs"],
    "properties": {
        "defaults": {
            "type": "object",
            "description": "Merged under each job; `source` and `output` as a whole.",
        },
        "jobs": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_JOBS,
            "items": {
                "type": "object",
                "description": "Together with the defaults, a JobRequest.",
            },
        },
    },
    "example": {
        "defaults": {"kind": "clip", "source": {"url": "https://example.org/video"}},
        "jobs": [{"start": 0, "end": 15}, {"start": 50, "end": 65}],
    },
}
