"""Making, rotating and revoking API keys in their file, which its owner alone may read.

A key is shown once, when it is made; the file does not hold it. It begins with a word by which
scanners find it in places where it should not be, and ends with a checksum of the rest.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.api_keys import KeyLine, numbered_keys

PREFIX = "clipmill_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH, _CHECKSUM_LENGTH = 43, 6  # 256 bits, and 32 bits


class KeyRefused(Exception):
    """The key cannot be made or changed; the message says why."""


def new_key() -> str:
    """A key in the form `clipmill_` + secret + checksum."""
    secret = _in_digits(secrets.randbits(256), _SECRET_LENGTH)
    return PREFIX + secret + checksum(PREFIX + secret)


def checksum(text: str) -> str:
    """Six digits that a mistyped or cut key does not have."""
    return _in_digits(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _in_digits(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def make_key(path: Path, name: str, scopes: tuple[str, ...], **options: Any) -> str:
    """A new key; `options` are the other fields of a `KeyLine`. Raises KeyRefused."""
    key = new_key()
    try:
        line = KeyLine(name, tuple(dict.fromkeys(scopes)), _digest(key), **options)
    except ValueError as fault:
        raise KeyRefused(str(fault)) from fault
    if any(other.name == name for other in read_keys(path)):
        raise KeyRefused(f"there is a key named {name} already: revoke or rotate it")
    _replace(path, [*_lines(path), str(line)])
    return key


def rotate_key(path: Path, name: str, overlap_seconds: float = 0.0) -> str:
    """A new secret for a key; the old one is accepted for some time. Raises KeyRefused."""
    key = new_key()
    until = time.time() + overlap_seconds if overlap_seconds else None
    _change(path, name, lambda line: line.rotated(_digest(key), until))
    return key


def change_key(path: Path, name: str, **changes: Any) -> KeyLine:
    """Other limits, scopes, networks or another expiry for a key. Raises KeyRefused."""
    return _change(path, name, lambda line: replace(line, **changes))


def revoke_key(path: Path, name: str) -> None:
    """Remove a key; a running API rejects it within a second. Raises KeyRefused."""
    lines = _lines(path)
    kept = [line for line in lines if _name_of(line) != name]
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


def _change(path: Path, name: str, change: Callable[[KeyLine], KeyLine]) -> KeyLine:
    known = {line.name: line for line in read_keys(path)}
    if name not in known:
        raise KeyRefused(f"there is no key named {name} in {path}")
    try:
        changed = change(known[name])
    except ValueError as fault:
        raise KeyRefused(str(fault)) from fault
    lines = [str(changed) if _name_of(line) == name else line for line in _lines(path)]
    _replace(path, lines)
    return changed


def _name_of(line: str) -> str:
    return line.split(":")[0].strip()


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


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
