"""The events that clients are told of, and where to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self
from urllib.parse import urlsplit

BATCH_FINISHED = "batch.finished"
EVENTS = ("job.succeeded", "job.failed", "job.cancelled", BATCH_FINISHED)


@dataclass(frozen=True)
class Webhook:
    """A URL that is told of events."""

    url: str
    events: tuple[str, ...] = EVENTS

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The webhook that `to_dict` wrote."""
        return cls(values["url"], tuple(values["events"]))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"url": self.url, "events": list(self.events)}


def server_of(owner: str, url: str) -> str:
    """The id of the endpoint that the webhook of a single job belongs to: its server.

    Such URLs are often used once, so that a server is slow or dead must not be tied to a URL. Each
    owner has endpoints of its own.
    """
    parts = urlsplit(url)
    origin = f"{owner}\0{parts.scheme}://{parts.netloc.lower()}"
    return "s" + sha256(origin.encode()).hexdigest()[:25]
