"""What may go wrong between a client and an API.

ClientError
├── Unreachable        no answer came: nobody listens, or the line broke
├── BadAnswer          what answered does not speak our contract
├── ApiProblem         the API refused and said why (its problem document)
├── JobNotSucceeded    the job that was waited for failed or was cancelled
├── StillRunning       it was not final within the time given
└── DamagedDownload    what was fetched is not what the job made
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipmill.answers import Job


class ClientError(Exception):
    """Anything that a caller of the client may want to catch."""


class Unreachable(ClientError):
    """No answer came: nobody listens, or the line broke."""


class BadAnswer(ClientError):
    """What answered does not speak our contract."""


class ApiProblem(ClientError):
    """The API refused; `document` is its problem document (RFC 9457) as it came."""

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
    """The job that was waited for failed or was cancelled."""

    def __init__(self, job: Job) -> None:
        self.job = job
        reason = f"{job.error.message} ({job.error.code})" if job.error else job.state
        super().__init__(f"job {job.id}: {reason}")


class StillRunning(ClientError):
    """It was not final within the time given; it goes on."""


class DamagedDownload(ClientError):
    """What was fetched is not what the job made; it was removed."""
