"""Reads a stream of server-sent events, in the form that our API sends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clipmill.client.errors import BadAnswer


@dataclass(frozen=True)
class Event:
    """One event; a later request names its `id` to continue after it."""

    id: str
    name: str
    data: Any


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of these lines, without line ends. Raises BadAnswer on data that is no JSON."""
    last_id, name, data = "", "message", []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            last_id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line:
            if data:
                yield Event(last_id, name, _parse("\n".join(data)))
            name, data = "message", []


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadAnswer("an event's data is not JSON") from error
