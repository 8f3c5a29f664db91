"""The handler of each kind of job, in the file of the kind's name beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tasks.kinds import KINDS
from worker.kinds.handler import Handler


def _handler_of(kind: str) -> Handler[Any]:
    """The handler in the kind's file. Raises TypeError where the file has none."""
    handler = import_module(f"{__name__}.{kind.replace('-', '_')}").HANDLER
    if not isinstance(handler, Handler):
        raise TypeError(f"the handler of {kind} is none: {handler!r}")
    return handler


HANDLERS: Mapping[str, Handler[Any]] = {kind: _handler_of(kind) for kind in KINDS}
