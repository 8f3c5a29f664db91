"""The file of API keys: one `name:scopes:sha256hex` a line, and what limits the key after it.

A command writes the file, the API reads it. A key is 256 random bits, so it cannot be found from
its plain SHA-256: no salt, no slow hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from config.values import Network, parse_networks

SCOPES = ("read", "submit", "admin")
# The owner of requests without a key. No key may have this name, since it would see their jobs.
LOCAL = "local"
DEFAULT_NAME = "api-keys"  # of the file, in DATA_DIR
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeyLimits:
    """What a key may use at most; None: no limit of its own."""

    requests_per_second: int | None = None
    requests_per_minute: int | None = None
    running_jobs: int | None = None
    queued_jobs: int | None = None
    bytes_per_day: int | None = None  # of files that its downloads and uploads bring
    media_seconds_per_day: float | None = None  # of its clips

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and value > 0):
                raise ValueError(f"{name} is not a number above 0")

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set."""
        return {name: value for name, value in vars(self).items() if value is not None}


NO_LIMITS = KeyLimits()
_LIMITS = frozenset(item.name for item in fields(KeyLimits))


@dataclass(frozen=True)
class OldKey:
    """The key before a rotation, which is accepted for a while. Seconds since 1970, UTC."""

    sha256: str
    until: float


@dataclass(frozen=True)
class KeyLine:
    """What the file holds of a key: everything but the key itself.

    Times are seconds since 1970, UTC. Raises ValueError for what the API would refuse; its text
    quotes no hash.
    """

    name: str
    scopes: tuple[str, ...]
    sha256: str
    limits: KeyLimits = NO_LIMITS
    networks: tuple[Network, ...] = ()  # of clients that may use it; empty: all
    expires_at: float | None = None
    old: OldKey | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == LOCAL:
            raise ValueError("the name is not 1 to 64 letters, digits, dots, dashes; or is taken")
        if not self.scopes or not set(self.scopes) <= set(SCOPES):
            raise ValueError(f"the scopes are not among {', '.join(sorted(SCOPES))}")
        digests = [self.sha256] + ([self.old.sha256] if self.old else [])
        if not all(_DIGEST.fullmatch(digest) for digest in digests):
            raise ValueError("the hash is not 64 lower-case hexadecimal digits")

    def __str__(self) -> str:
        plain = f"{self.name}:{','.join(self.scopes)}:{self.sha256}"
        rest = self._rest()
        return f"{plain}:{json.dumps(rest)}" if rest else plain

    def _rest(self) -> dict[str, Any]:
        beside = {
            "networks": [str(network) for network in self.networks],
            "expires_at": self.expires_at,
            "old": self.old and vars(self.old),
        }
        return {**self.limits.to_dict(), **{name: it for name, it in beside.items() if it}}

    @classmethod
    def parse(cls, line: str) -> Self:
        """The key of one line. Raises ValueError, which says what is wrong."""
        parts = line.strip().split(":", 3)
        if len(parts) < 3:
            raise ValueError("is not name:scopes:sha256hex")
        name, scopes, digest, *rest = parts
        asked = tuple(scope.strip() for scope in scopes.split(","))
        return cls(name, asked, digest, **_values_of(rest[0] if rest else "{}"))

    def rotated(self, sha256: str, old_until: float | None) -> Self:
        """The same key with a new secret; the present one counts until then, None: no more."""
        old = OldKey(self.sha256, old_until) if old_until is not None else None
        return replace(self, sha256=sha256, old=old)


def _values_of(text: str) -> dict[str, Any]:
    """The values behind the hash of a line. Raises ValueError."""
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError
    except (ValueError, TypeError) as fault:
        raise ValueError("what follows the hash is not a JSON object") from fault
    known = _LIMITS | {"networks", "expires_at", "old"}
    if not values.keys() <= known:
        raise ValueError(f"{', '.join(sorted(values.keys() - known))} is not known of a key")
    try:
        return _checked(values)
    except (TypeError, KeyError) as fault:
        raise ValueError("what follows the hash is not in the form of a key") from fault


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    old, expires_at = values.get("old"), values.get("expires_at")
    return {
        "limits": KeyLimits(**{name: values[name] for name in _LIMITS & values.keys()}),
        "networks": parse_networks(",".join(values.get("networks", []))),
        "expires_at": float(expires_at) if expires_at is not None else None,
        "old": OldKey(str(old["sha256"]), float(old["until"])) if old else None,
    }


def numbered_keys(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that hold a key, each with its number: no blank ones, no comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line
