"""Sending a file in pieces (tus 1.0), going on from what has arrived when a connection breaks."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from clipmill.client.connection import Connection, asked_pause_seconds, is_passing, pauses
from clipmill.client.errors import ApiProblem, BadAnswer, Unreachable
from config.api import API_BASE

PIECE_BYTES = 8 * 1024 * 1024  # what may have to be sent twice
_PATH = f"{API_BASE}/uploads/resumable"
_TUS = {"Tus-Resumable": "1.0.0"}
_PIECE = {**_TUS, "Content-Type": "application/offset+octet-stream"}
_LOCKED = 423  # the request before is not over yet for the API

OnSent = Callable[[int], None]


def send(
    connection: Connection, path: Path, *, max_tries: int, on_bytes: OnSent | None = None
) -> str:
    """The id of the upload, all of whose bytes have arrived. Raises ClientError, OSError."""
    size = path.stat().st_size
    name = base64.b64encode(path.name.encode()).decode()
    told = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": f"filename {name}"}
    made = _with_tries(max_tries, lambda: connection.headers("POST", _PATH, headers=told))
    place = made["location"]
    with path.open("rb") as file:
        sent = 0
        while sent < size:
            file.seek(sent)
            sent = _send_piece(connection, place, file.read(PIECE_BYTES), sent, max_tries)
            if on_bytes:
                on_bytes(sent)
    return place.rsplit("/", 1)[1]


def _send_piece(
    connection: Connection, place: str, piece: bytes, begin: int, max_tries: int
) -> int:
    """How much has arrived after this piece. Raises ClientError."""
    digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
    told = {**_PIECE, "Upload-Offset": str(begin), "Upload-Checksum": f"sha256 {digest}"}
    for pause in pauses(max_tries):
        try:
            connection.headers("PATCH", place, headers=told, content=piece)
            return begin + len(piece)
        except (Unreachable, ApiProblem) as fault:
            if pause is None or not (is_passing(fault) or _is_misplaced(fault)):
                raise
            time.sleep(max(pause, asked_pause_seconds(fault)))
        arrived = _offset(connection, place, max_tries)
        if arrived != begin:
            return arrived
    raise AssertionError("the last pause is None")  # pragma: no cover


def _is_misplaced(fault: Unreachable | ApiProblem) -> bool:
    """Whether the request before has added more, or is still adding."""
    return isinstance(fault, ApiProblem) and fault.status in (409, _LOCKED)


def _offset(connection: Connection, place: str, max_tries: int) -> int:
    found = _with_tries(max_tries, lambda: connection.headers("HEAD", place, headers=_TUS))
    text = found.get("upload-offset", "")
    if not text.isdigit():
        raise BadAnswer("the API does not say how much of the upload has arrived")
    return int(text)


def _with_tries(max_tries: int, ask: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    for pause in pauses(max_tries):
        try:
            return ask()
        except (Unreachable, ApiProblem) as fault:
            if pause is None or not is_passing(fault):
                raise
            time.sleep(max(pause, asked_pause_seconds(fault)))
    raise AssertionError("the last pause is None")  # pragma: no cover
