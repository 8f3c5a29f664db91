"""What may go wrong between a client and an API.

ClientError
├── Unreachable        no answer came: no server listens, or the connection broke
├── BadAnswer          the answer does not follow our contract
├── ApiProblem         the API rejected the request; its problem document says why
├── JobNotSucceeded    the awaited job failed or was cancelled
├── StillRunning       the job was not final within the given time
└── DamagedDownload    the fetched file is not the file that the job made
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipmill.client.answers import Job


class ClientError(Exception):
    """Anything that a caller of the client may want to catch."""


class Unreachable(ClientError):
    """No answer came: no server listens, or the connection broke."""


class BadAnswer(ClientError):
    """The answer does not follow our contract."""


class ApiProblem(ClientError):
    """The API rejected the request; `document` is its problem document (RFC 9457) as it came."""

    def __init__(
        self, status: int, document: Mapping[str, Any], retry_after_seconds: float | None = None
    ) -> None:
        self.status = status
        self.document = document
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self._text())

    @property
    def code(self) -> str:
        """The stable word for what happened, such as `not_found`."""
        return str(self.document.get("code", ""))

    @property
    def errors(self) -> list[Mapping[str, str]]:
        """What exactly was wrong: items of `pointer` and `detail`."""
        return list(self.document.get("errors") or [])

    def _text(self) -> str:
        title = self.document.get("detail") or self.document.get("title") or "no reason given"
        lines = [f"{title} ({self.status} {self.code})".replace(" )", ")")]
        lines += [f"  {item.get('pointer', '')}: {item.get('detail', '')}" for item in self.errors]
        return "\n".join(lines)


class JobNotSucceeded(ClientError):
    """The awaited job failed or was cancelled."""

    def __init__(self, job: Job) -> None:
        self.job = job
        reason = f"{job.error.message} ({job.error.code})" if job.error else job.state
        super().__init__(f"job {job.id}: {reason}")


class StillRunning(ClientError):
    """The job or batch was not final within the given time; it runs on."""


class DamagedDownload(ClientError):
    """The fetched file is not the file that the job made; it was removed."""
