"""Answers that are as long as a file: how many at once, in which steps, and what each holds.

A client that does not read holds up its answer, and with it a thread, the blocks that are on their
way and an open file, about half a MB together. Nothing is given up for it but a place, of which
there are only so many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from flask import Response, request

from web.http.services import Services

# Up to five of them are in memory for one client: with the reader, in the queue, in the server's
# own buffer. Werkzeug's 8 KiB would cost a change of thread for each.
BLOCK_BYTES = 32 * 1024


def begin_transfer(services: Services, response: Response) -> Response:
    """The answer, holding a place until it is sent or its client is gone.

    Raises TooManyTransfers, after giving back what the answer holds.
    """
    if request.method == "HEAD" or response.status_code not in (200, 206):
        response.close()  # the file; the server never asks for it
        return response
    try:
        services.transfers.enter()
    except BaseException:
        response.close()
        raise
    response.response = _Held(response.response, services.transfers.leave)
    # Or Flask would put an iterator of its own around it.
    response.direct_passthrough = True
    return response


class _Held:
    """Blocks of an answer; what they hold is given back once, however the answer ends."""

    def __init__(self, blocks: Iterable[Any], give_back: Callable[[], None]) -> None:
        self._source = blocks
        self._blocks: Iterator[Any] = iter(blocks)
        self._give_back: Callable[[], None] | None = give_back

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._blocks)

    def close(self) -> None:
        """Called by the server after the last block, and as soon as the client is gone."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        try:
            close: Callable[[], None] | None = getattr(self._source, "close", None)
            if close is not None:
                close()
        finally:
            give_back()
