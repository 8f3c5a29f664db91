"""A storage as on another machine: only the storage itself knows where its files are.

    with RemoteStorage(folder) as storage:
        Engine(url, work, storage=storage)

`put` copies a file there, `local` copies it back, and clients are redirected to the storage's own
web server. The storage knows no limit of space, and can be unavailable.
"""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from tasks.errors import ArtifactExpired, StorageUnavailable
from tasks.storage import Presentation, Redirect, StoredFile
from tasks.storage.protocol import checked_key, key_of
from tests.support.origin import Exchange, Origin, answers


class RemoteStorage:
    """Objects with flat names behind a web server. A context manager."""

    def __init__(self, bucket: Path) -> None:
        bucket.mkdir()
        self.away = False
        self.redirects = 0
        self._bucket = bucket
        self._server = Origin()
        self._server.add("/", self._answer)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def key_for(self, artifact_id: str, suffix: str) -> str:
        return key_of(artifact_id, suffix)

    def put(self, source: Path, artifact_id: str, suffix: str) -> StoredFile:
        key = key_of(artifact_id, suffix)
        target = self._object(key)
        with source.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        arriving = target.with_name(f"arriving {target.name}")
        shutil.copyfile(source, arriving)
        arriving.replace(target)
        source.unlink()
        return StoredFile(key, target.stat().st_size, digest)

    def has(self, key: str, size_bytes: int | None = None) -> bool:
        path = self._object(key)
        return path.exists() and size_bytes in (None, path.stat().st_size)

    @contextmanager
    def local(self, key: str, folder: Path) -> Iterator[Path]:
        copy = folder / f"copy-of-{Path(key).name}"
        copy.write_bytes(self._existing(key).read_bytes())
        try:
            yield copy
        finally:
            copy.unlink()

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self._existing(key).read_bytes())

    def serve(self, key: str, presentation: Presentation) -> Redirect:
        self.redirects += 1
        shown = {"type": presentation.media_type, "disposition": presentation.disposition}
        path = f"/{quote(self._existing(key).name)}?{urlencode(shown)}"
        return Redirect(self._server.url(path))

    def delete(self, key: str) -> None:
        self._object(key).unlink(missing_ok=True)

    def remove_unreferenced(
        self, older_than_seconds: float, referenced: Callable[[list[str]], set[str]]
    ) -> int:
        before = time.time() - older_than_seconds
        self._object("")
        old = {
            path.name.split(" ")[-1].partition(".")[0]: path
            for path in self._bucket.iterdir()
            if path.stat().st_ctime < before
        }
        gone = old.keys() - referenced(list(old))
        for artifact_id in gone:
            old[artifact_id].unlink()
        return len(gone)

    def free_bytes(self) -> None:
        self._object("")

    def check(self) -> None:
        self._object("")

    def names(self) -> set[str]:
        """The names of all objects."""
        return {path.name for path in self._bucket.iterdir()}

    def _object(self, key: str) -> Path:
        name = checked_key(key).partition("/")[2] if key else ""
        if self.away:
            raise StorageUnavailable("artifacts cannot be stored: the other machine is silent")
        return self._bucket / name

    def _existing(self, key: str) -> Path:
        path = self._object(key)
        if not path.exists():
            raise ArtifactExpired("the file is no longer kept")
        return path

    def _answer(self, exchange: Exchange) -> None:
        asked = parse_qs(urlsplit(exchange.path).query)
        headers = {"Content-Disposition": asked["disposition"][0]}
        answers.file(self._bucket / exchange.rest, asked["type"][0], headers)(exchange)
