"""The output of a tool, kept in bounded memory: lines of stdout, the tail of stderr."""

from __future__ import annotations

from collections.abc import Iterator

TAIL_BYTES = 8 * 1024
LINE_BYTES = 64 * 1024


class Lines:
    """Cuts a stream into lines of bounded length; the rest of a longer line is dropped."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._dropping = False

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that are complete now."""
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            yield from self._extend(piece)
            if not self._dropping:
                yield self._take()
            self._dropping = False
        yield from self._extend(rest)

    def rest(self) -> Iterator[str]:
        """The last line, if it had no end."""
        if self._held:
            yield self._take()

    def _extend(self, piece: bytes) -> Iterator[str]:
        if self._dropping:
            return
        self._held += piece
        if len(self._held) > LINE_BYTES:
            del self._held[LINE_BYTES:]
            self._dropping = True
            yield self._take()

    def _take(self) -> str:
        line = self._held.decode("utf-8", "replace").removesuffix("\r")
        self._held.clear()
        return line


class Tail:
    """The end of a stream, however much went before."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Append a chunk of the stream."""
        self._held += chunk[-TAIL_BYTES:]
        del self._held[:-TAIL_BYTES]

    def text(self) -> str:
        """The last 8 KiB."""
        return self._held.decode("utf-8", "replace")
