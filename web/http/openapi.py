"""flask-smorest as this project uses it: strict bodies, and errors as problem documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

import flask_smorest
from flask import Flask, Request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from config.api import API_BASE
from web.http import problems
from web.http.json_body import allow_long_body, read_json
from web.http.receiving import FORM, receive_job
from web.http.services import current_services
from web.schemas.answers import ProblemSchema
from web.schemas.batches import BatchRequestSchema
from web.schemas.faults import invalid, messages_of
from web.schemas.requests import JobRequestSchema

_DESCRIPTION = (
    "Extract, download and clip video. A request only records what is to be done; workers do it. "
    "Every error is a problem document (RFC 9457) with a stable `code`."
)
# Either way of sending a key; none where the API answers on loopback without keys.
_SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"bearer": []}, {}]

# Where the file of a form belongs in the request beside it.
_FILE_IS: Mapping[type, tuple[str, ...]] = {
    JobRequestSchema: ("source",),
    BatchRequestSchema: ("defaults", "source"),
}

View = TypeVar("View", bound=Callable[..., Any])


class StrictParser(FlaskParser):
    """Reads bodies with `json_body`, rejects unknown query parameters, names every fault."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012 - the library's own form

    def load_json(self, req: Request, schema: Schema) -> Any:
        place = _FILE_IS.get(type(schema))
        if req.mimetype == FORM and place is not None:
            return receive_job(current_services(), req, place)
        if isinstance(schema, BatchRequestSchema):
            allow_long_body(current_services(), req)
        return read_json(req)

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, **_: Any
    ) -> NoReturn:
        messages = messages_of(error)
        # webargs puts the messages under the name of the location.
        inner = messages.get("json", messages.get("query", messages))
        raise invalid(ValidationError(inner))


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # the library ships no types
    """A group of calls. The methods only add the types that the library leaves out."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._views: set[str] = set()

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Serve a path with a view, whose name and group name the operation."""

        def decorate(view: View) -> View:
            # A second path of the same view is an alias.
            alias = rule if view.__name__ in self._views else ""
            self._views.add(view.__name__)
            name = _operation_id(self.name, view.__name__, alias)
            named: View = self.doc(operationId=name)(view)
            return super(Blueprint, self).route(rule, **options)(named)  # type: ignore[no-any-return]

        return decorate

    def arguments(self, schema: Any, **options: Any) -> Callable[[View], View]:
        return super().arguments(schema, **options)  # type: ignore[no-any-return]

    def response(
        self, status_code: int, schema: Any = None, **options: Any
    ) -> Callable[[View], View]:
        return super().response(status_code, schema, **options)  # type: ignore[no-any-return]

    def alt_response(self, status_code: int, **options: Any) -> Callable[[View], View]:
        return super().alt_response(status_code, **options)  # type: ignore[no-any-return]

    def doc(self, **options: Any) -> Callable[[View], View]:
        return super().doc(**options)  # type: ignore[no-any-return]

    def after_request(self, function: View) -> View:
        return super().after_request(function)  # type: ignore[no-any-return]

    def refusals(self, *codes: int) -> Callable[[View], View]:
        """List these errors as possible answers in the document."""

        def decorate(view: View) -> View:
            for code in codes:
                view = self.alt_response(code, response=HTTPStatus(code).name)(view)
            return view

        return decorate


def _operation_id(group: str, view: str, alias: str) -> str:
    """Such as `jobsSubmit`: the names of generated clients' methods."""
    first, *rest = re.split(r"\W+|_", f"{group}_{view}{alias}")
    return first + "".join(word.capitalize() for word in rest)


class Api(flask_smorest.Api):  # type: ignore[misc]  # the library ships no types
    """The OpenAPI document; its errors are the problems of `web.http.problems`."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Does nothing: our error handlers are registered with the application."""

    def _register_responses(self) -> None:
        """Describe errors as problem documents; the library describes them as application/json."""
        content = {problems.MEDIA_TYPE: {"schema": self.ERROR_SCHEMA}}
        for status in HTTPStatus:
            described = {"description": status.phrase}
            self.spec.components.response(
                status.name,
                described | ({"content": content} if status >= HTTPStatus.BAD_REQUEST else {}),
                lazy=True,
            )
        self.spec.components.response(
            "DEFAULT_ERROR", {"description": "Any other error", "content": content}, lazy=True
        )


def make_api(app: Flask, version: str) -> Api:
    """The OpenAPI document without its calls, which the blueprints add."""
    app.config.update(
        API_TITLE="Clipmill",
        API_VERSION=version,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=API_BASE,
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = Api(app, spec_kwargs={"info": {"description": _DESCRIPTION}, "security": _SECURITY})
    api.spec.components.security_scheme(
        "key", {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    )
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    return api
