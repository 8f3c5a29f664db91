"""Turns marshmallow's nested messages into a flat list of JSON pointers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from marshmallow import ValidationError

from tasks.errors import Fault, InvalidRequest

# Names of marshmallow for "the object itself".
_WHOLE = {"_schema"}


def invalid(error: ValidationError) -> InvalidRequest:
    """The error that names every fault of a body or query."""
    faults = tuple(_faults(messages_of(error), ""))
    first = faults[0] if faults else Fault("", "not valid")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    where = first.pointer or "the request"
    return InvalidRequest(f"{where[:200]}: {first.detail[:200]}{more}", faults)


def messages_of(error: ValidationError) -> dict[str, Any]:
    """The messages of the error, field by field."""
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]  # the library's gap
    return messages


def _faults(messages: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _faults(inner, pointer if name in _WHOLE else f"{pointer}/{escaped(name)}")
    elif isinstance(messages, list):
        for message in messages:
            yield from _faults(message, pointer)
    else:
        yield Fault(pointer, in_one_voice(str(messages)))


def in_one_voice(message: str) -> str:
    """marshmallow's own sentences in the voice of our messages: lower case, no full stop."""
    return message[:1].lower() + message[1:].removesuffix(".")


def escaped(name: Any) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")
