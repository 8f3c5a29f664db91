"""The file of API keys: one `name:scopes:sha256hex` a line. A command writes it, the API reads it.

A key is 256 random bits, so it cannot be found from its plain SHA-256: no salt, no slow hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SCOPES = ("read", "submit", "admin")
# The owner of requests without a key. No key may have this name, since it would see their jobs.
LOCAL = "local"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeyLine:
    """What the file holds of a key: everything but the key itself.

    Raises ValueError for what the API would refuse; its text quotes no hash.
    """

    name: str
    scopes: tuple[str, ...]
    sha256: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == LOCAL:
            raise ValueError("the name is not 1 to 64 letters, digits, dots, dashes; or is taken")
        if not self.scopes or not set(self.scopes) <= set(SCOPES):
            raise ValueError(f"the scopes are not among {', '.join(sorted(SCOPES))}")
        if not _DIGEST.fullmatch(self.sha256):
            raise ValueError("the hash is not 64 lower-case hexadecimal digits")

    def __str__(self) -> str:
        return f"{self.name}:{','.join(self.scopes)}:{self.sha256}"

    @classmethod
    def parse(cls, line: str) -> KeyLine:
        """The key of one line. Raises ValueError, which says what is wrong."""
        parts = line.strip().split(":")
        if len(parts) != 3:
            raise ValueError("is not name:scopes:sha256hex")
        name, scopes, digest = parts
        return cls(name, tuple(scope.strip() for scope in scopes.split(",")), digest)


def numbered_keys(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that hold a key, each with its number: no blank ones, no comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line
