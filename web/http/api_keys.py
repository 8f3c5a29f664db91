"""The file of hashed API keys: one `name:scopes:sha256hex` a line, read again when it changes.

A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back: no salt, no slow hash.
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
# Where requests go that show no key; no key may bear this name and so see their jobs.
LOCAL = "local"


@dataclass(frozen=True)
class Key:
    """What is known of a key: everything but the key."""

    name: str
    scopes: frozenset[str]
    digest: bytes


class KeyFileError(Exception):
    """The key file cannot be used; the text says which lines are wrong, and quotes none."""


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of a file. Blank lines and `#` comments are passed over. Raises KeyFileError."""
    keys: list[Key] = []
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                keys.append(_parse_line(line.strip()))
            except ValueError as fault:
                faults.append(f"line {number}: {fault}")
    names = [key.name for key in keys]
    faults.extend(f"the name {name} is there twice" for name in _repeated(names))
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
        raise ValueError("the hash is not 64 small hexadecimal digits")
    return Key(name, chosen, bytes.fromhex(digest))


def _repeated(names: list[str]) -> Iterator[str]:
    return (name for name in sorted(set(names)) if names.count(name) > 1)


class KeyFile:
    """The keys as the file has them now."""

    def __init__(self, path: Path) -> None:
        """Raises KeyFileError or OSError: a start without a usable file is a mistake."""
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._version()
        self._keys = parse_keys(path.read_text())

    def find(self, presented: str) -> Key | None:
        """The key that this is, if any. Every key is compared, in constant time each."""
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
                # Who removes the file means to shut everybody out.
                self._keys, self._seen = (), (0, 0, 0)
            except (OSError, UnicodeDecodeError, KeyFileError) as error:
                # Half an edit must neither let anyone in nor everyone out: the last good keys stay.
                log.warning("the key file cannot be used, keeping what was read: %s", error)
            return self._keys
