"""One HTTP connection to an API: credentials, bounded retries, error answers as exceptions."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from clipmill.client.errors import ApiProblem, BadAnswer, Unreachable

# Worth another try: the API runs but has no free slot or no store now.
BUSY_STATUSES = frozenset({429, 503})
LONGEST_PAUSE_SECONDS = 30.0
# This machine is never reached through a proxy, whatever the environment has for other hosts.
NO_PROXY = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


class Closes(ABC):
    """What is closed at the end of a `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Let go of every connection."""


class Connection(Closes):
    """Requests below one base URL."""

    def __init__(
        self, url: str, key: str | None, *, timeout_seconds: float, max_tries: int
    ) -> None:
        self._url = checked_url(url)
        self._timeout_seconds = timeout_seconds
        self._max_tries = max_tries
        self._http = httpx2.Client(
            base_url=url,
            # Unlike `X-API-Key`, httpx2 does not send this header on when an artifact's address
            # redirects to an object store.
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=timeout_seconds,
            follow_redirects=True,
            mounts=NO_PROXY,
        )

    def close(self) -> None:
        self._http.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool | None = None,
        extra_seconds: float = 0.0,
        **request: Any,
    ) -> Any:
        """The JSON of the answer, None for an empty answer. Raises ClientError.

        A repeatable request (by default a GET) is retried when the connection breaks or the API is
        busy. `extra_seconds` is how long the API may hold the request before it answers.
        """
        request["timeout"] = self._timeout_seconds + extra_seconds
        tries = self._max_tries if (method == "GET" if repeatable is None else repeatable) else 1
        for pause in pauses(tries):
            try:
                return self._once(method, path, request)
            except (Unreachable, ApiProblem) as fault:
                if pause is None or not is_passing(fault):
                    raise
                time.sleep(max(pause, asked_pause_seconds(fault)))
        raise AssertionError("the last pause is None")  # pragma: no cover

    def headers(self, method: str, path: str, **request: Any) -> Mapping[str, str]:
        """The headers of an answer, by small names; asked once. Raises ClientError."""
        with self.stream(method, path, **request) as response:
            response.read()
            return {name.lower(): value for name, value in response.headers.items()}

    @contextmanager
    def stream(self, method: str, path: str, **request: Any) -> Iterator[httpx2.Response]:
        """The answer with its body unread; tried once. Raises ClientError."""
        try:
            with self._http.stream(method, path, **request) as response:
                if response.is_error:
                    response.read()
                refuse_errors(response)
                yield response
        except httpx2.RequestError as error:
            raise Unreachable(f"{self._url} does not answer: {error}") from error

    def _once(self, method: str, path: str, request: Mapping[str, Any]) -> Any:
        with self.stream(method, path, **request) as response:
            content = response.read()
        if not content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise BadAnswer(f"{response.url} answered something that is not JSON") from error


def checked_url(url: str) -> str:
    """The URL, if a request can be sent to it at all. Raises Unreachable."""
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise Unreachable(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise Unreachable(f"{url!r} is not a URL such as http://127.0.0.1:8000")
    return url


def pauses(tries: int) -> Iterator[float | None]:
    """The pause after each try, None after the last."""
    for number in range(tries - 1):
        yield min(LONGEST_PAUSE_SECONDS, 0.2 * 2.0**number)
    yield None


def is_passing(fault: Unreachable | ApiProblem) -> bool:
    """Whether another try may succeed."""
    return isinstance(fault, Unreachable) or fault.status in BUSY_STATUSES


def asked_pause_seconds(fault: Unreachable | ApiProblem) -> float:
    """How long the API asked us to wait, within reason."""
    asked = fault.retry_after_seconds if isinstance(fault, ApiProblem) else None
    return min(LONGEST_PAUSE_SECONDS, asked or 0.0)


def refuse_errors(response: httpx2.Response) -> None:
    """Raise ApiProblem for an error answer."""
    if not response.is_error:
        return
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, Mapping):  # a proxy's page, say
        document = {"title": response.reason_phrase}
    raise ApiProblem(response.status_code, document, retry_after_seconds(response))


def retry_after_seconds(response: httpx2.Response) -> float | None:
    """The seconds of the header; our API never sends its other form, a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
