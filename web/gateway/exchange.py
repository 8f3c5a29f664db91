"""One request through Flask: the head of its answer, then its body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, Any

from web.gateway.environ import Environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Headers = list[tuple[bytes, bytes]]


class Exchange:
    """Calls a WSGI application, and reads its answer block by block.

    Each call may run in another thread, one after the other.
    """

    def __init__(self, application: WSGIApplication, environ: Environ) -> None:
        self._application = application
        self._environ = environ
        self._context = copy_context()
        self._answer: Iterable[bytes] = ()
        self._blocks: Iterator[bytes] = iter(())
        self._closed = False
        self.status = 500
        self.headers: Headers = []

    def begin(self) -> tuple[bytes, bool]:
        """Call the application. The first block, and whether it is the whole body.

        An answer that has ended is closed.
        """
        return self._context.run(self._begin)

    def _begin(self) -> tuple[bytes, bool]:
        try:
            self._answer = self._application(self._environ, self._start)
            self._blocks = iter(self._answer)
            first = self._next()
            whole = first is None or (b"content-length", b"%d" % len(first)) in self.headers
        except BaseException:
            self._close()
            raise
        if whole:
            self._close()
        return first or b"", whole

    def next_blocks(self, count: int) -> list[bytes]:
        """The next blocks, so many at most; none after the last one."""
        return self._context.run(self._some, count)

    def _some(self, count: int) -> list[bytes]:
        return list(islice(filter(None, self._blocks), count))

    def _next(self) -> bytes | None:
        return next(filter(None, self._blocks), None)

    def close(self) -> None:
        """Release what the answer holds, however it ended."""
        self._context.run(self._close)

    def _close(self) -> None:
        closed, self._closed = self._closed, True
        close: Callable[[], None] | None = getattr(self._answer, "close", None)
        if close is not None and not closed:
            close()

    def _start(
        self, status: str, headers: list[tuple[str, str]], _: Any = None
    ) -> Callable[[bytes], object]:
        self.status = int(status[:3])
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]
        return _refuse_to_write


def _refuse_to_write(_: bytes) -> object:
    raise NotImplementedError("Flask returns its answers")
