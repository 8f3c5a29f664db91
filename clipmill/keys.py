"""The file of API keys: one `name:scopes:sha256hex` a line, readable by its owner alone.

A key is 32 random bytes, so it cannot be found from its plain SHA-256. The key is shown once, when
it is made; the file does not hold it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

PREFIX = "cm_"
SCOPES = ("read", "submit", "admin")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
# The owner of requests without a key; no key may have this name.
_TAKEN_NAME = "local"


class KeyRefused(Exception):
    """The key cannot be made or removed; the message says why."""


@dataclass(frozen=True)
class KeyLine:
    """What the file holds of a key."""

    name: str
    scopes: tuple[str, ...]
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}:{','.join(self.scopes)}:{self.sha256}"


def make_key(path: Path, name: str, scopes: tuple[str, ...]) -> str:
    """A new key. The file gets its hash; the key itself is stored nowhere."""
    if not _NAME.fullmatch(name) or name == _TAKEN_NAME:
        raise KeyRefused(f"{name!r} is not 1 to 64 letters, digits, dots and dashes, or is taken")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise KeyRefused(f"the scopes are one or more of {', '.join(SCOPES)}")
    if any(line.name == name for line in read_keys(path)):
        raise KeyRefused(f"there is a key named {name} already: remove it first")
    key = PREFIX + secrets.token_urlsafe(32)
    line = KeyLine(name, tuple(dict.fromkeys(scopes)), hashlib.sha256(key.encode()).hexdigest())
    _replace(path, [*_lines(path), str(line)])
    return key


def remove_key(path: Path, name: str) -> None:
    """Remove a key; a running API rejects it from its next request on."""
    lines = _lines(path)
    kept = [line for line in lines if line.split(":")[0].strip() != name]
    if len(kept) == len(lines):
        raise KeyRefused(f"there is no key named {name} in {path}")
    _replace(path, kept)


def read_keys(path: Path) -> list[KeyLine]:
    """The keys of the file; none when there is no file."""
    return [_parse(line) for line in _lines(path) if line.strip() and not line.startswith("#")]


def _parse(line: str) -> KeyLine:
    name, _, rest = line.strip().partition(":")
    scopes, _, digest = rest.partition(":")
    if not digest:
        raise KeyRefused("the file has a line that is not name:scopes:sha256hex")
    return KeyLine(name, tuple(scopes.split(",")), digest)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _replace(path: Path, lines: list[str]) -> None:
    """Replace the file as a whole: a running API reads it whenever it changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    Path(new).replace(path)
