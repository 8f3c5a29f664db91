"""Answers that send a file: how many at once, in blocks of which size, and what each holds.

A client that does not read blocks its answer, and with it the blocks under way, the buffers of its
connection and an open file, together about half a MB. The number of slots limits how much such
clients can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Self

from flask import Response, request

from web.http.responses import JSON, settle_preconditions
from web.http.services import Services, caller

# Up to ten blocks are in memory for a client: with the reader, in the queue, in the server's own
# buffer. Werkzeug's 8 KiB would cost more calls for the same bytes.
BLOCK_BYTES = 16 * 1024
# A longer answer in JSON is sent while it is read: it must not be in memory as a whole.
_AT_ONCE_BYTES = 512 * 1024


def begin_transfer(services: Services, response: Response) -> Response:
    """The answer, which holds a slot until it is sent or its client has disconnected.

    Raises TooManyTransfers, after closing the answer.
    """
    if request.method == "HEAD" or response.status_code not in (200, 206):
        response.close()  # the file; the server never asks for it
        return response
    try:
        leave = services.places.transfers.enter(caller().name)
    except BaseException:
        response.close()
        raise
    response.response = _Transfer(response.response, leave)
    # Else Flask would wrap it in an iterator of its own.
    response.direct_passthrough = True
    return response


def begin_long_answer(services: Services, parts: Iterator[bytes], etag: str) -> Response:
    """JSON in parts as 200, or 304; sent as it is read where it is long.

    An answer that breaks off in the middle, when the store does, has no end: no client takes it for
    a whole one. Raises TooManyTransfers.
    """
    settle_preconditions(etag)
    begun: list[bytes] = []
    length = 0
    while length < _AT_ONCE_BYTES and (part := next(parts, None)) is not None:
        begun.append(part)
        length += len(part)
    is_long = length >= _AT_ONCE_BYTES
    body: Any = chain(begun, parts) if is_long else b"".join(begun)
    # Else Werkzeug would read all parts to find the length.
    response = Response(body, content_type=JSON, direct_passthrough=is_long)
    response.set_etag(etag)
    response.make_conditional(request)
    return begin_transfer(services, response) if is_long else response


class _Transfer:
    """The blocks of an answer; its slot is released once, however the answer ends."""

    def __init__(self, blocks: Iterable[Any], release: Callable[[], None]) -> None:
        self._source = blocks
        self._blocks: Iterator[Any] = iter(blocks)
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._blocks)

    def close(self) -> None:
        """Called by the server after the last block, or as soon as the client has disconnected."""
        release, self._release = self._release, None
        if release is None:
            return
        try:
            close: Callable[[], None] | None = getattr(self._source, "close", None)
            if close is not None:
                close()
        finally:
            release()
