"""Files in requests: written to disk while they come, then checked by a job.

A form has one file part, of any name; fields beside it are few and short.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import IO, Any

from flask import Request, g
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from tasks.errors import Fault, InvalidRequest, NotFound, StorageFull
from tasks.kinds import UploadSpec
from tasks.specs import Source
from tasks.storage.incoming import Arrival
from web.http.errors import TooManyTransfers, UnsupportedMediaType
from web.http.json_body import longest_body, parse_json
from web.http.services import Services, caller
from web.schemas.filenames import safe_name

FORM = "multipart/form-data"
REQUEST_FIELD = "request"
MOST_ON_THEIR_WAY = 200  # of one caller
_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
_MOST_PARTS = 10
_HEADS_BYTES = 64 * 1024  # what a form has beside its file


@dataclass
class Received:
    """A file that has arrived. `is_new`: a check is due that was not asked for yet."""

    upload_id: str
    spec: UploadSpec
    is_new: bool
    fields: Mapping[str, str] = field(default_factory=dict)


def receive_form(services: Services, request: Request) -> Received:
    """The file and the fields of a form.

    Raises InvalidRequest, TooManyTransfers, StorageFull, SlowBody, 413 from the stream.
    """
    if request.mimetype != FORM or "boundary" not in request.mimetype_params:
        raise UnsupportedMediaType(f"send the file as `Content-Type: {FORM}; boundary=…`")
    sweep(services)
    check_room(services, request.content_length or 0)
    request.max_content_length = services.settings.max_upload_bytes + _HEADS_BYTES
    parts = _Parts(services, caller().name)
    with services.places.receiving.slot(caller().name), writing():
        try:
            fields = parts.read(request)
            if services.incoming.received(parts.arrival().id) > services.settings.max_upload_bytes:
                raise RequestEntityTooLarge
            return _known_or_new(services, parts.arrival(), fields)
        except BaseException:
            parts.discard()
            raise


def receive_job(services: Services, request: Request, path: tuple[str, ...]) -> Any:
    """The JSON of the field `request`, with the form's file as the source at `path`."""
    received = receive_form(services, request)
    g.received = received
    g.until_end.callback(_discard_unused, services, received)
    text = received.fields.get(REQUEST_FIELD)
    if text is None:
        raise _fault(f"/{REQUEST_FIELD}", "the form needs a field `request` with the JSON")
    value = parse_json(text.encode())
    place = value
    for name in path[:-1]:
        place = place.setdefault(name, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise _fault(f"/{REQUEST_FIELD}", "must be an object")
    if path[-1] in place:
        raise _fault("/" + "/".join(path), "the form's file is the source: leave this out")
    place[path[-1]] = {"upload_id": received.upload_id}
    return value


def accept_received(services: Services) -> None:
    """Let the form's file be checked, if the present request has one. Raises as a submission."""
    received: Received | None = g.get("received")
    if received is not None:
        accept(services, received)


def accept(services: Services, received: Received) -> None:
    """Ask for the check of a file that has arrived. Raises as a submission; may be asked again."""
    if received.is_new:
        who = caller()
        services.dispatcher.check_upload(received.upload_id, received.spec, who.name, who.limits)
        # Only now: what is complete and has no job counts as left over.
        services.incoming.update(services.incoming.get(received.upload_id), complete=True)
        received.is_new = False


def whole(services: Services, arrival: Arrival) -> Received:
    """A file all of whose bytes are here."""
    incoming = services.incoming
    spec = UploadSpec(
        source=Source(upload_id=arrival.id),
        filename=arrival.filename,
        size_bytes=incoming.received(arrival.id),
        sha256=incoming.sha256(arrival.id),
    )
    return Received(arrival.id, spec, True)


def _known_or_new(services: Services, arrival: Arrival, fields: Mapping[str, str]) -> Received:
    """The same file of this owner that is here already, or the new one."""
    received = whole(services, arrival)
    known = services.dispatcher.known_upload(received.spec, arrival.owner)
    if known is not None:
        services.incoming.remove(arrival.id)
        return Received(known, received.spec, False, fields)
    return replace(received, fields=fields)


def _discard_unused(services: Services, received: Received) -> None:
    if received.is_new:
        services.incoming.remove(received.upload_id)


@contextmanager
def writing() -> Iterator[None]:
    """Tell a full disk from a fault of ours. Raises StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_DISK:
            raise StorageFull("the disk has no space for the file: try again later") from error
        raise


def check_room(services: Services, size_bytes: int) -> None:
    """Raises StorageFull where a file of this size would leave too little room, and
    TooManyTransfers where the caller has very many files on their way, and
    QuotaExceeded."""
    if services.incoming.count(caller().name) >= MOST_ON_THEIR_WAY:
        raise TooManyTransfers(
            f"{MOST_ON_THEIR_WAY} uploads of yours are not complete: finish or delete some"
        )
    if caller().limits.bytes_per_day:
        services.use.today(caller().name).check(caller().limits, size_bytes)
    free = shutil.disk_usage(services.settings.data_dir).free
    if free - size_bytes < services.settings.min_free_disk_bytes:
        raise StorageFull("there is no room for the file: delete some, or wait until some expire")


def sweep(services: Services) -> None:
    """Remove files on their way that nobody waits for."""

    def is_over(upload_id: str) -> bool:
        try:
            return services.store.jobs.snapshot(upload_id, None).state.final
        except NotFound:
            return True

    services.incoming.sweep(is_over)


class _Parts:
    """Reads a form; its one file goes to disk."""

    def __init__(self, services: Services, owner: str) -> None:
        self._services = services
        self._owner = owner
        self._arrival: Arrival | None = None
        self._file: IO[bytes] | None = None

    def read(self, request: Request) -> Mapping[str, str]:
        """The fields, after the whole form was read."""
        longest = longest_body(self._services.settings, request.path)
        parser = FormDataParser(
            self._open, max_form_memory_size=longest, max_form_parts=_MOST_PARTS, silent=False
        )
        options, length = request.mimetype_params, request.content_length
        try:
            _, fields, _ = parser.parse(request.stream, FORM, length, options)
        except ValueError as error:
            raise _fault("", f"the form cannot be read: {error}") from error
        finally:
            if self._file is not None:
                self._file.close()
        return dict(fields)

    def arrival(self) -> Arrival:
        """The file's. Raises InvalidRequest where there is none."""
        if self._arrival is None:
            raise _fault("", "the form has no file part: send one, of any name, with a file name")
        return self._arrival

    def discard(self) -> None:
        """Remove what has arrived."""
        if self._arrival is not None:
            self._services.incoming.remove(self._arrival.id)

    def _open(self, *_: Any, filename: str | None = None, **__: Any) -> IO[bytes]:
        if self._arrival is not None:
            raise _fault("", "the form has several files: send one")
        upload_id = self._services.dispatcher.new_upload_id()
        name = safe_name(PurePosixPath((filename or "").replace("\\", "/")).name, "upload")
        self._arrival = Arrival(upload_id, self._owner, name, None, time.time())
        self._services.incoming.begin(self._arrival)
        self._file = self._services.incoming.open(upload_id)
        return self._file


def _fault(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, (Fault(pointer, detail),))
