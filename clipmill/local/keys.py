"""Making and removing API keys in their file, which its owner alone may read.

A key is shown once, when it is made; the file does not hold it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from config.api_keys import KeyLine, numbered_keys

PREFIX = "cm_"


class KeyRefused(Exception):
    """The key cannot be made or removed; the message says why."""


def make_key(path: Path, name: str, scopes: tuple[str, ...]) -> str:
    """A new key. The file gets its hash; the key itself is stored nowhere."""
    key = PREFIX + secrets.token_urlsafe(32)
    try:
        digest = hashlib.sha256(key.encode()).hexdigest()
        line = KeyLine(name, tuple(dict.fromkeys(scopes)), digest)
    except ValueError as fault:
        raise KeyRefused(str(fault)) from fault
    if any(other.name == name for other in read_keys(path)):
        raise KeyRefused(f"there is a key named {name} already: remove it first")
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
    """The keys of the file; none when there is no file. Raises KeyRefused."""
    found = []
    for number, line in numbered_keys("\n".join(_lines(path))):
        try:
            found.append(KeyLine.parse(line))
        except ValueError as fault:
            raise KeyRefused(f"{path}, line {number}: {fault}") from fault
    return found


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
