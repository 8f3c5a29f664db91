"""Links that work without a key: a path, an expiry and who made them, signed.

`?link=` holds a payload and its signature over payload and path. The link lives as long as its
time, and no longer than the key that made it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tasks.access.link_secrets import LinkSecrets

# In a WSGI environment: the signature of the link that the request was made with.
LINK = "clipmill.link"
_PARAMETER = "link="


@dataclass(frozen=True)
class Grant:
    """What a link allows: to read its path, as its maker, until then (seconds since 1970, UTC)."""

    owner: str
    sees_all: bool
    key: str  # the beginning of the maker's digest; empty without keys
    until: float


def take_link(environ: MutableMapping[str, Any]) -> None:
    """Move a link's signature from the query to where the check finds it.

    Routes know nothing of it, and no log or metric shows it.
    """
    query = str(environ["QUERY_STRING"])
    if _PARAMETER not in query:
        return
    parts = query.split("&")
    found = [part for part in parts if part.startswith(_PARAMETER)]
    if len(found) == 1:
        environ[LINK] = unquote(found[0][len(_PARAMETER) :])
        environ["QUERY_STRING"] = "&".join(part for part in parts if part is not found[0])


def signed(secrets: LinkSecrets, path: str, grant: Grant) -> str:
    """The URL of a path that works until the grant ends. Raises StoreUnavailable."""
    id, secret = secrets.current()
    values = [id, grant.owner, grant.sees_all, grant.key, grant.until]
    payload = _encoded(json.dumps(values, separators=(",", ":")).encode())
    return f"{path}?{_PARAMETER}{payload}.{_encoded(_signature(secret, payload, path))}"


def granted(secrets: LinkSecrets, environ: Mapping[str, Any]) -> Grant | None:
    """What the request's link allows; None where it is changed, over, or for another path."""
    payload, _, signature = str(environ.get(LINK, "")).partition(".")
    try:
        id, owner, sees_all, key, until = json.loads(_decoded(payload))
        secret = secrets.of(str(id))
        right = secret and _signature(secret, payload, environ.get("PATH_INFO", ""))
        if not right or not hmac.compare_digest(right, _decoded(signature)):
            return None
    except (ValueError, TypeError):
        return None
    return Grant(owner, sees_all, key, until) if until > time.time() else None


def _signature(secret: str, payload: str, path: str) -> bytes:
    return hmac.digest(secret.encode(), f"{payload}\n{path}".encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
