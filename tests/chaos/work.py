"""What clients ask for: work that its URL describes, or real media from a local server."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.support.media import Video, make_video
from tests.support.origin import Origin, answers

SITE = "https://127.0.0.1/media"
RAISES = ("MemoryError", "SystemExit", "RecursionError")
VIDEO = Video(seconds=20.0, width=640, height=360, keyframe_seconds=2.0)
SOURCES = 30


class Work(Protocol):
    """Makes the requests of the clients."""

    def body(self, chance: random.Random) -> dict[str, Any]:
        """A request that has to be accepted."""

    def content(self, body: Mapping[str, Any]) -> bytes | None:
        """The file that a request asks for, byte for byte; None where it is not known."""


def work_of(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal for jobs with equal work: the same URL, or the same cut of the same bytes. The URL of
    scripted work says how many bytes there are."""
    url = spec["source"]["url"]
    if spec["kind"] != "clip":
        return spec["kind"], url
    size = _asked(url).get("bytes", url)
    return "clip", size, float(spec["start"]), float(spec["end"]), spec.get("mode")


def _asked(url: str) -> dict[str, str]:
    return {name: found[0] for name, found in parse_qs(urlsplit(url).query).items()}


class ScriptedWork:
    """Work that takes as long, and ends, as its URL says."""

    def __init__(self, seed: int, count: int, token: str, pace: float) -> None:
        self._seed = seed
        self._count = count
        self._pace = pace
        self._token = token

    def body(self, chance: random.Random) -> dict[str, Any]:
        kind = chance.choice(["extract", "extract", "download", "download", "clip"])
        body = {"kind": kind, "source": {"url": self._url(chance)}}
        if kind == "clip":
            start = chance.randrange(50)
            return {**body, "start": start, "end": start + 1}
        return body

    def content(self, body: Mapping[str, Any]) -> bytes:
        """As many bytes as the URL says; a clip ends with its range."""
        made = b"m" * int(_asked(body["source"]["url"])["bytes"])
        if body["kind"] == "clip":
            made += f"{float(body['start'])}-{float(body['end'])}".encode()
        return made

    def _url(self, chance: random.Random) -> str:
        seconds = round(chance.choice([0, 1, 4, 8]) * chance.random() * self._pace, 2)
        asked = f"seconds={seconds}&bytes={chance.choice([1, 1000, 200_000])}"
        asked += chance.choice([""] * 16 + ["&fail=sometimes"] * 3)
        asked += chance.choice([""] * 20 + ["&fail=unavailable", f"&raise={chance.choice(RAISES)}"])
        number = chance.randrange(self._count)  # some numbers come twice
        if number % 3 == 0:
            return f"{SITE}/{number}?bytes=9&token={self._token}"
        return f"{SITE}/{self._seed}/{number}?{asked}&token={self._token}"


class RealWork:
    """Downloads from a server on loopback, and clips in every mode."""

    def __init__(self, origin: Origin, folder: Path, token: str) -> None:
        video = make_video(folder / VIDEO.name, VIDEO)
        rate = video.stat().st_size / 3.0
        self._urls = [
            origin.add(f"/{n}.mp4", answers.slow(video, rate) if n % 3 else answers.file(video))
            for n in range(SOURCES)
        ]
        self._gone = origin.add("/unavailable.mp4", answers.status(404))
        self._token = token

    def body(self, chance: random.Random) -> dict[str, Any]:
        kind = chance.choice(["extract", "download", "clip", "clip", "clip"])
        url = self._gone if chance.random() < 0.05 else chance.choice(self._urls)
        body = {"kind": kind, "source": {"url": f"{url}?token={self._token}"}}
        if kind == "clip":
            start, mode = chance.uniform(0, 12), chance.choice(["auto", "smart", "copy", "encode"])
            return {**body, "start": start, "end": start + chance.uniform(1, 7), "mode": mode}
        return body

    def content(self, body: Mapping[str, Any]) -> None:
        """Not known: other tests check what tools make of a video."""
