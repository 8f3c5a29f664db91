"""The file of hashed API keys: one `name:scopes:sha256hex` a line, read again when it changes.

A key is 256 random bits, so it cannot be found from its plain SHA-256: no salt, no slow hash.
"""

from __future__ import annotations

import hmac
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

log = logging.getLogger(__name__)

SCOPES = frozenset({"read", "submit", "admin"})
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# The owner of requests without a key. No key may have this name, since it would see their jobs.
LOCAL = "local"


@dataclass(frozen=True)
class Key:
    """What the file holds of a key: everything but the key itself."""

    name: str
    scopes: frozenset[str]
    digest: bytes


class KeyFileError(Exception):
    """The key file cannot be used; the text names the lines that are wrong and quotes none."""


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of a file. Ignores blank lines and `#` comments. Raises KeyFileError."""
    keys: list[Key] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                keys.append(_parse_line(line.strip()))
            except ValueError as fault:
                faults.append(f"line {number}: {fault}")
    names = [key.name for key in keys]
    faults.extend(f"the name {name} is used twice" for name in _repeated(names))
    if faults:
        raise KeyFileError("; ".join(faults))
    return tuple(keys)


def _parse_line(line: str) -> Key:
    parts = line.split(":")
    if len(parts) != 3:
        raise ValueError("is not name:scopes:sha256hex")
    name, scopes, digest = parts
    if not _NAME.fullmatch(name) or name == LOCAL:
        raise ValueError("the name is not 1 to 64 letters, digits, dots, dashes; or is taken")
    chosen = frozenset(scope.strip() for scope in scopes.split(","))
    if not chosen <= SCOPES:
        raise ValueError(f"the scopes are not among {', '.join(sorted(SCOPES))}")
    if not _DIGEST.fullmatch(digest):
        raise ValueError("the hash is not 64 lower-case hexadecimal digits")
    return Key(name, chosen, bytes.fromhex(digest))


def _repeated(names: list[str]) -> Iterator[str]:
    return (name for name in sorted(set(names)) if names.count(name) > 1)


class KeyFile:
    """The keys that the file holds now."""

    def __init__(self, path: Path) -> None:
        """Raises KeyFileError or OSError: a start without a usable file is a mistake."""
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._version()
        self._keys = parse_keys(path.read_text())

    def find(self, presented: str) -> Key | None:
        """The key that was presented, if it exists. Compares every key, each in constant time."""
        digest = sha256(presented.encode(errors="surrogateescape")).digest()
        found = None
        for key in self._current():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _version(self) -> tuple[int, int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _current(self) -> tuple[Key, ...]:
        with self._lock:
            try:
                version = self._version()
                if version != self._seen:
                    self._keys = parse_keys(self._path.read_text())
                    self._seen = version
            except FileNotFoundError:
                # An operator who removes the file wants every key to be rejected.
                self._keys, self._seen = (), (0, 0, 0)
            except (OSError, UnicodeDecodeError, KeyFileError) as error:
                # A half-written file must neither add keys nor remove all: the last good ones stay.
                log.warning("the key file cannot be used, keeping the keys read before: %s", error)
            return self._keys
