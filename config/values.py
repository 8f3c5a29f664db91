"""Turns the text of an environment variable into a value; a ValueError says what is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

ALL = ("all",)  # the kinds of job that a worker serves, where they are not named
# How a STORAGE_URL of each scheme begins; `tasks.storage` has one class for each.
STORAGE_SCHEMES = {"file": "file:///"}
KIB, MIB, GIB = 1024, 1024**2, 1024**3
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Number = TypeVar("Number", int, float)

_SIZE = re.compile(r"(?ai)\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?))?B?\s*")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_TOO_MUCH = 2**53  # above it a float cannot hold every whole number
_DURATION = re.compile(r"(?ai)\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*")
_WHOLE = re.compile(r"(?a)\s*\d{1,15}\s*")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_size(text: str) -> int:
    """Bytes from `512MiB`, `10G` or a plain number. KB means 1000, KiB and K mean 1024."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("is not a size such as 512MiB")
    number, unit, binary = match.groups()
    decimal = text.strip().lower().endswith("b") and not binary
    return int(
        _bounded(float(number) * (1000 if decimal else 1024) ** _POWERS[(unit or "").upper()])
    )


def parse_duration(text: str) -> float:
    """Seconds from `90`, `90s`, `15m`, `24h` or `7d`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("is not a duration such as 30s, 15m, 24h or 7d")
    return _bounded(float(match[1]) * _SECONDS[match[2].lower()])


def _bounded(number: float) -> float:
    if number > _TOO_MUCH:
        raise ValueError("is too large")
    return number


def above_zero(parse: Callable[[str], Number]) -> Callable[[str], Number]:
    """The same parser, which also rejects 0."""

    def parse_above_zero(text: str) -> Number:
        number = parse(text)
        if number <= 0:
            raise ValueError("must be more than 0")
        return number

    return parse_above_zero


def parse_path(text: str) -> Path:
    """A path; `~` is the home folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError as fault:
        raise ValueError("begins with the home folder of an unknown user") from fault


def parse_positive_int(text: str) -> int:
    number = int(text) if _WHOLE.fullmatch(text) else 0
    if number < 1:
        raise ValueError("is not a whole number above 0")
    return number


def parse_limit(text: str) -> int:
    """A whole number; 0 means no limit."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("is not a whole number")
    return int(text)


def parse_port(text: str) -> int:
    number = int(text) if _WHOLE.fullmatch(text) else -1
    if not 0 <= number <= 65535:
        raise ValueError("is not a port (0 to 65535)")
    return number


def parse_flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in {"1", "0", "true", "false", "yes", "no"}:
        raise ValueError("is not yes or no")
    return word in {"1", "true", "yes"}


def parse_networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as fault:
        raise ValueError(f"is not a list of networks such as 10.0.0.0/8: {fault}") from fault


def parse_origins(text: str) -> tuple[str, ...]:
    """Origins of web pages, or `*` alone."""
    origins = tuple(part.strip().lower().rstrip("/") for part in text.split(",") if part.strip())
    for origin in origins:
        parts = urlsplit(origin)
        is_one = parts.scheme and parts.netloc and origin == f"{parts.scheme}://{parts.netloc}"
        if origin != "*" and not is_one:
            raise ValueError("is not a list of origins such as https://app.example.org")
    if "*" in origins and len(origins) > 1:
        raise ValueError("is `*` or a list of origins, not both")
    return origins


def parse_kinds(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or (names != ALL and "all" in names):
        raise ValueError("is not `all` or a list of kinds such as extract,clip")
    return names


def one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return word

    return parse


def parse_redis_url(text: str) -> str:
    if urlsplit(text).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("is not a URL that begins with redis://, rediss:// or unix://")
    return text


def parse_http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not a URL that begins with http:// or https://")
    return text


def parse_storage_url(text: str) -> str:
    if not text.startswith(tuple(STORAGE_SCHEMES.values())):
        raise ValueError(f"is not a URL that begins with {' or '.join(STORAGE_SCHEMES.values())}")
    return text
