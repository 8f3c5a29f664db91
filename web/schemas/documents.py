"""The request bodies in the OpenAPI document, which marshmallow describes incompletely."""

from __future__ import annotations

from apispec import APISpec

from web.schemas.batches import MOST_JOBS
from web.schemas.requests import REQUEST_SCHEMAS

_PREFIX = "#/components/schemas/"


def describe_requests(spec: APISpec) -> None:
    """Add `JobRequest` (one of the kinds, chosen by `kind`) and `BatchRequest`."""
    names = {}
    for kind, schema in REQUEST_SCHEMAS.items():
        name = f"{kind.capitalize()}Request"
        spec.components.schema(f"{name}Fields", schema=schema)
        spec.components.schema(
            name,
            {
                "allOf": [
                    {
                        "type": "object",
                        "required": ["kind"],
                        "properties": {"kind": {"type": "string", "enum": [kind]}},
                    },
                    {"$ref": f"{_PREFIX}{name}Fields"},
                ]
            },
        )
        names[kind] = f"{_PREFIX}{name}"
    spec.components.schema(
        "JobRequest",
        {
            "oneOf": [{"$ref": reference} for reference in names.values()],
            "discriminator": {"propertyName": "kind", "mapping": names},
        },
    )
    spec.components.schema("BatchRequest", _BATCH)


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
