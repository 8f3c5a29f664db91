"""Fetches an artifact into a folder: resumes a broken transfer, accepts only the right hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from clipmill.client.answers import Artifact
from clipmill.client.connection import Connection
from clipmill.client.errors import BadAnswer, DamagedDownload, Unreachable

CHUNK_BYTES = 256 * 1024
HTTP_PARTIAL_CONTENT = 206

OnBytes = Callable[[int], None]


def fetch(
    connection: Connection,
    artifact: Artifact,
    target: Path,
    *,
    max_tries: int,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Put the artifact at `target`, whole and checked, or nothing. Raises ClientError.

    What arrived before a connection broke stays in a hidden file beside `target`, named by the
    hash, and the next call continues from there. `on_bytes` gets the number of bytes so far.
    """
    part = target.with_name(f".{target.name}.{artifact.sha256[:16]}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    for tries_left in reversed(range(max_tries)):
        try:
            _go_on(connection, artifact, part, on_bytes)
            break
        except Unreachable:
            if not tries_left:
                raise
    if sha256_of(part) != artifact.sha256:
        part.unlink()
        raise DamagedDownload(f"{artifact.name} arrived damaged and was removed")
    return part.replace(target)


def local_name(artifact: Artifact) -> str:
    """The artifact's name as a plain file name: a server must not choose our folders."""
    name = artifact.name.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(letter for letter in name if letter.isprintable()).lstrip(".")
    if not name:
        raise BadAnswer(f"{artifact.name!r} cannot be the name of a file")
    return name


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _go_on(
    connection: Connection, artifact: Artifact, part: Path, on_bytes: OnBytes | None
) -> None:
    """Fetch the rest of the file."""
    have_bytes = part.stat().st_size if part.exists() else 0
    if have_bytes == artifact.size_bytes and part.exists():
        return
    if have_bytes > artifact.size_bytes:
        part.unlink()
        have_bytes = 0
    headers = {"Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    with connection.stream("GET", artifact.url, headers=headers) as response:
        resumed = response.status_code == HTTP_PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes(CHUNK_BYTES):
                file.write(chunk)
                if on_bytes:
                    on_bytes(file.tell())
    if part.stat().st_size < artifact.size_bytes:
        raise Unreachable(f"{artifact.name} broke off")
