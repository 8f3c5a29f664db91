"""Files that clients send: each in a folder of its own until a worker has checked and stored it.

API and workers of one installation share this folder. An upload's id is the id of the job that
checks it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from tasks.errors import NotFound
from tasks.ids import is_id

FOLDER = "uploads"  # in the data folder
_DATA, _FACTS = "data", "facts.json"
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Arrival:
    """What is known of a file on its way. `length` is None until the client has told it."""

    id: str
    owner: str
    filename: str
    length: int | None
    created_at: float
    metadata: str = ""  # as a resumable client sent it
    complete: bool = False


class Incoming:
    """The folder of the files on their way."""

    def __init__(self, data_dir: Path, keep_seconds: float = _DAY_SECONDS) -> None:
        """A file to which nothing was added for `keep_seconds` is given up."""
        self._folder = data_dir / FOLDER
        self.keep_seconds = keep_seconds

    def begin(self, arrival: Arrival) -> None:
        """Make room for a file. Raises OSError."""
        folder = self._folder / arrival.id
        folder.mkdir(parents=True, mode=0o750)
        (folder / _DATA).touch(mode=0o640)
        self._write(arrival)

    def get(self, upload_id: str) -> Arrival:
        """Raises NotFound."""
        if is_id(upload_id):
            with suppress(FileNotFoundError, ValueError, TypeError):
                return Arrival(**json.loads((self._folder / upload_id / _FACTS).read_text()))
        raise NotFound("there is no such upload on its way")

    def update(self, arrival: Arrival, **changes: object) -> Arrival:
        """Record what became known."""
        changed = replace(arrival, **changes)  # type: ignore[arg-type]  # its own fields
        self._write(changed)
        return changed

    def path(self, upload_id: str) -> Path:
        """Where the bytes are."""
        return self._folder / upload_id / _DATA

    def open(self, upload_id: str) -> BinaryIO:
        """For writing at its end."""
        return self.path(upload_id).open("ab")

    def received(self, upload_id: str) -> int:
        """How many bytes have arrived. Raises NotFound."""
        try:
            return self.path(upload_id).stat().st_size
        except FileNotFoundError as error:
            raise NotFound("there is no such upload on its way") from error

    def sha256(self, upload_id: str) -> str:
        """The digest of what has arrived."""
        with self.path(upload_id).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def link(self, upload_id: str, name: str) -> Path:
        """A second name for the file, in the same folder: who moves it away takes nothing."""
        link = self._folder / upload_id / name
        link.unlink(missing_ok=True)
        os.link(self.path(upload_id), link)
        return link

    def remove(self, upload_id: str) -> None:
        """Forget the file; an absent one is no error."""
        shutil.rmtree(self._folder / upload_id, ignore_errors=True)

    def count(self, owner: str) -> int:
        """How many files of an owner are on their way."""
        found = 0
        for upload_id, _ in self._ages():
            with suppress(NotFound):
                found += self.get(upload_id).owner == owner
        return found

    def sweep(self, is_over: Callable[[str], bool]) -> None:
        """Remove what nobody waits for: files whose job has ended, and those that were given up."""
        for upload_id, changed_at in self._ages():
            abandoned = time.time() - changed_at > self.keep_seconds
            try:
                complete = self.get(upload_id).complete
            except NotFound:
                complete = False
            if is_over(upload_id) if complete else abandoned:
                self.remove(upload_id)

    def _ages(self) -> Iterator[tuple[str, float]]:
        with suppress(FileNotFoundError):
            for folder in list(self._folder.iterdir()):
                with suppress(FileNotFoundError):
                    yield folder.name, (folder / _DATA).stat().st_mtime

    def _write(self, arrival: Arrival) -> None:
        facts = self._folder / arrival.id / _FACTS
        fresh = facts.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(arrival)))
        fresh.replace(facts)
