"""The file of hashed API keys, read again when it changes."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from config.api_keys import NO_LIMITS, KeyLimits, KeyLine, numbered_keys
from config.values import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """A key as a request is checked against it. Times in seconds since 1970, UTC."""

    name: str
    scopes: frozenset[str]
    digest: bytes
    limits: KeyLimits = NO_LIMITS
    networks: tuple[Network, ...] = ()
    expires_at: float | None = None


class KeyFileError(Exception):
    """The key file cannot be used; the text names the lines that are wrong and quotes none."""


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of a file. Ignores blank lines and `#` comments. Raises KeyFileError."""
    keys: list[Key] = []
    faults: list[str] = []
    for number, line in numbered_keys(text):
        try:
            keys.extend(_keys_of(KeyLine.parse(line)))
        except ValueError as fault:
            faults.append(f"line {number}: {fault}")
    names = [line.partition(":")[0].strip() for _, line in numbered_keys(text)]
    faults.extend(f"the name {name} is used twice" for name in _repeated(names))
    if faults:
        raise KeyFileError("; ".join(faults))
    return tuple(keys)


def _keys_of(line: KeyLine) -> Iterator[Key]:
    """The key, and beside it the one before its rotation."""
    scopes, digest = frozenset(line.scopes), bytes.fromhex(line.sha256)
    key = Key(line.name, scopes, digest, line.limits, line.networks, line.expires_at)
    yield key
    if line.old is not None:
        until = min(line.old.until, line.expires_at or line.old.until)
        yield replace(key, digest=bytes.fromhex(line.old.sha256), expires_at=until)


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
        for key in self.present():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _version(self) -> tuple[int, int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def present(self) -> tuple[Key, ...]:
        """The keys that count now."""
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
