"""Whatever pieces clients send in whatever order, an upload holds what was said to be in it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from clipmill.local.keys import make_key
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer

RESUMABLE = "/api/v2/uploads/resumable"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
LENGTH = 200_000
PIECES = st.binary(min_size=1, max_size=300).map(lambda seed: seed * 200)


class Uploads(RuleBasedStateMachine):
    """One upload of one owner, and what it holds if all that was acknowledged is in it."""

    api: Api
    owner: httpx2.Client
    stranger: httpx2.Client

    @initialize()
    def begin(self) -> None:
        answer = self.owner.post(RESUMABLE, headers={**TUS, "Upload-Length": str(LENGTH)})
        assert answer.status_code == 201, answer.text
        self.place = answer.headers["location"]
        self.content = b""
        self.there = True

    def add(self, client: httpx2.Client, offset: int, piece: bytes, **more: str) -> int:
        told = {**PIECE, "Upload-Offset": str(offset), **more}
        return client.patch(self.place, content=piece, headers=told).status_code

    @property
    def left(self) -> int:
        return LENGTH - len(self.content)

    @precondition(lambda self: self.there)
    @rule(piece=PIECES)
    def add_what_is_next(self, piece: bytes) -> None:
        # The last byte would begin the check, which is another story.
        piece = piece[: self.left - 1]
        assert self.add(self.owner, len(self.content), piece) == 204
        self.content += piece

    @precondition(lambda self: self.there)
    @rule(piece=PIECES, off=st.integers(-LENGTH, LENGTH).filter(bool))
    def add_in_a_wrong_place(self, piece: bytes, off: int) -> None:
        status = self.add(self.owner, max(0, len(self.content) + off), piece)
        assert status == 409 or (status == 204 and not self.content and off < 0)
        if status == 204:
            self.content += piece

    @precondition(lambda self: self.there)
    @rule(piece=PIECES, method=st.sampled_from(["sha1", "sha256"]))
    def add_with_a_sum(self, piece: bytes, method: str) -> None:
        piece = piece[: self.left - 1]
        right = base64.b64encode(hashlib.new(method, piece).digest()).decode()
        told = {"Upload-Checksum": f"{method} {right}"}
        assert self.add(self.owner, len(self.content), piece, **told) == 204
        self.content += piece

    @precondition(lambda self: self.there)
    @rule(piece=PIECES)
    def add_with_a_wrong_sum(self, piece: bytes) -> None:
        wrong = base64.b64encode(hashlib.sha1(piece + b"x").digest()).decode()
        told = {"Upload-Checksum": f"sha1 {wrong}"}
        piece = piece[: self.left - 1]
        if piece:
            assert self.add(self.owner, len(self.content), piece, **told) == 460

    @precondition(lambda self: self.there)
    @rule(more=st.integers(1, 1000))
    def add_more_than_was_announced(self, more: int) -> None:
        status = self.add(self.owner, len(self.content), b"x" * (self.left + more))
        assert status in {400, 413}

    @precondition(lambda self: self.there)
    @rule(piece=PIECES, method=st.sampled_from(["PATCH", "HEAD", "DELETE"]))
    def come_as_another_owner(self, piece: bytes, method: str) -> None:
        told = {**PIECE, "Upload-Offset": str(len(self.content))}
        body = {"content": piece} if method == "PATCH" else {}
        answer = self.stranger.request(method, self.place, headers=told, **body)
        assert answer.status_code == 404

    @precondition(lambda self: self.there)
    @rule()
    def give_it_up(self) -> None:
        assert self.owner.delete(self.place, headers=TUS).status_code == 204
        self.there = False
        assert self.owner.head(self.place, headers=TUS).status_code in {404, 410}

    @precondition(lambda self: not self.there)
    @rule()
    def begin_again(self) -> None:
        self.begin()

    @invariant()
    def it_holds_what_was_acknowledged(self) -> None:
        file = self.api.folder / "data" / "uploads" / self.place.rsplit("/", 1)[1] / "data"
        if not self.there:
            assert not file.exists()
            return
        answer = self.owner.head(self.place, headers=TUS)
        assert int(answer.headers["upload-offset"]) == len(self.content)
        assert (file.read_bytes() if file.exists() else b"") == self.content

    def teardown(self) -> None:
        if self.there:
            self.owner.delete(self.place, headers=TUS)


def test_an_upload_holds_what_was_acknowledged_and_nothing_else(
    tmp_path: Path, valkey: ValkeyServer, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "keys"
    keys = [make_key(file, name, ("read", "submit")) for name in ("ann", "bob")]
    options = {"api_keys_file": str(file), "rate_limit": "0"}
    with (
        Api(tmp_path, valkey.url, **options) as api,
        api.client(headers={"X-API-Key": keys[0]}) as owner,
        api.client(headers={"X-API-Key": keys[1]}) as stranger,
    ):
        machine = type("Of", (Uploads,), {"api": api, "owner": owner, "stranger": stranger})
        run(
            machine,
            settings=settings(
                max_examples=40, stateful_step_count=25, deadline=None, derandomize=True,
                database=None, suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
