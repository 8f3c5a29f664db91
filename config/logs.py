"""Log lines, JSON or text; each line of a job carries its id, kind and attempt."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_context: ContextVar[dict[str, object] | None] = ContextVar("log_context", default=None)


@contextmanager
def log_context(**values: object) -> Iterator[None]:
    """Put these values on every line logged inside the block, in this thread."""
    token = _context.set({**(_context.get() or {}), **values})
    try:
        yield
    finally:
        _context.reset(token)


class _AddContext(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.context = {**(_context.get() or {}), **getattr(record, "values", {})}
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the context."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "context", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # In ASCII, since some log readers end a line at U+2028 and similar characters.
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A line for a terminal: the message, then the context."""

    def format(self, record: logging.LogRecord) -> str:
        context: dict[str, object] = getattr(record, "context", {})
        tail = " ".join(f"{key}={value}" for key, value in context.items())
        return " ".join(filter(None, [super().format(record), tail]))


def configure_logging(log_format: str, level: str) -> None:
    """Send every log line of this process to standard error in the given form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_AddContext())
    handler.setFormatter(
        JsonFormatter()
        if log_format == "json"
        else TextFormatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    # The info lines of these libraries repeat what our own lines say.
    for name in ("celery", "kombu", "httpx2", "httpcore2", "amqp"):
        logging.getLogger(name).setLevel("WARNING")
