"""`Prefer: wait=S` (RFC 7240): one request that answers with what the job made."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from flask import Request, Response

from tasks.job import JobState
from tasks.store import Snapshot
from web.http.errors import TooManyWaiting
from web.http.long_poll import wait_until
from web.http.responses import JSON
from web.http.services import Services

LONGEST_SECONDS = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
_MEDIA = ("video/", "audio/", "image/")
PARAMETER = {
    "in": "header",
    "name": "Prefer",
    "schema": {"type": "string", "example": "wait=60"},
    "description": "Wait so many seconds for the end of the job, 60 at most. Then the answer is "
    "200 with the job, or 303 to its file where `Accept` asks for media.",
}


def preferred_seconds(request: Request) -> int:
    """How long the client would wait; 0 where it does not say."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), LONGEST_SECONDS) if found else 0


def answer_when_final(
    services: Services, request: Request, accepted: Response, job_id: str, owner: str
) -> Response:
    """The answer of a submission whose client prefers to wait.

    The 202 where that took too long, or too many wait already: a preference is no condition.
    """
    seconds = preferred_seconds(request)
    if not seconds:
        return accepted
    try:
        snapshot = wait_until(
            services,
            job_id,
            lambda: services.store.jobs.snapshot(job_id, owner),
            lambda snapshot: snapshot.state.final,
            seconds,
        )
    except TooManyWaiting:
        return accepted
    response = _final(request, snapshot, accepted) if snapshot.state.final else accepted
    response.headers["Preference-Applied"] = f"wait={seconds}"
    return response


def _final(request: Request, snapshot: Snapshot, accepted: Response) -> Response:
    if snapshot.state is JobState.SUCCEEDED and _asks_for_media(request):
        artifacts = json.loads(snapshot.body)["result"]["artifacts"]
        if artifacts:
            headers = {"Location": artifacts[0]["url"]}
            return Response(status=HTTPStatus.SEE_OTHER, headers=headers)
    accepted.status_code = HTTPStatus.OK
    accepted.set_data(snapshot.body)
    accepted.content_type = JSON
    return accepted


def _asks_for_media(request: Request) -> bool:
    return any(value.startswith(_MEDIA) for value, weight in request.accept_mimetypes if weight > 0)
