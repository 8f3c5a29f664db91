"""Sending a file in pieces over a connection that breaks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clipmill.client import sending
from clipmill.client.errors import ApiProblem, Unreachable

PLACE = "/api/v2/uploads/resumable/abc"


class Wire:
    """An API that keeps what it gets. `breaks` says after how many bytes of which piece."""

    def __init__(self, breaks: Mapping[int, int], busy: int = 0) -> None:
        self.data = b""
        self._breaks = dict(breaks)
        self._pieces = 0
        self._busy = busy

    def headers(self, method: str, path: str, **request: Any) -> Mapping[str, str]:
        told = request["headers"]
        assert told["Tus-Resumable"] == "1.0.0"
        if method == "POST":
            return {"location": PLACE}
        assert path == PLACE
        if method == "HEAD":
            return {"upload-offset": str(len(self.data))}
        self._pieces += 1
        if self._busy:
            self._busy -= 1
            raise ApiProblem(423, {"code": "upload_busy"})
        if int(told["Upload-Offset"]) != len(self.data):
            raise ApiProblem(409, {"code": "upload_offset_conflict"})
        content = request["content"]
        cut = self._breaks.pop(self._pieces, None)
        self.data += content if cut is None else content[:cut]
        if cut is not None:
            raise Unreachable("the connection broke")
        return {}


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sending, "PIECE_BYTES", 1000)
    monkeypatch.setattr(sending.time, "sleep", lambda seconds: None)
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(range(256)) * 20)
    return path


@pytest.mark.parametrize("breaks", [{}, {1: 0}, {2: 400}, {3: 1000}, {1: 0, 2: 500, 4: 1000}])
def test_the_file_arrives_as_it_is_however_the_connection_breaks(
    film: Path, breaks: Mapping[int, int]
) -> None:
    wire, seen = Wire(breaks), list[int]()
    found = sending.send(wire, film, max_tries=4, on_bytes=seen.append)  # type: ignore[arg-type]
    assert found == "abc"
    assert hashlib.sha256(wire.data).digest() == hashlib.sha256(film.read_bytes()).digest()
    assert seen[-1] == film.stat().st_size
    assert seen == sorted(seen)


def test_a_piece_that_is_still_being_written_is_waited_for(film: Path) -> None:
    wire = Wire({}, busy=2)
    sending.send(wire, film, max_tries=4)  # type: ignore[arg-type]
    assert wire.data == film.read_bytes()


def test_a_connection_that_stays_broken_is_given_up(film: Path) -> None:
    wire = Wire(dict.fromkeys(range(1, 9), 0))
    with pytest.raises(Unreachable):
        sending.send(wire, film, max_tries=3)  # type: ignore[arg-type]
