"""Every recipe of docs/recipes.md does what it says, against a real system with keys."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from clipmill.local.keys import make_key
from config.api import API_BASE
from tests.architecture.source import ROOT
from tests.support.media import Video, cached_video, frame_numbers
from tests.support.origin import Origin, answers
from tests.support.receiver import Receiver
from tests.support.system import System

PAGE = (ROOT / "docs" / "recipes.md").read_text()
BLOCKS = re.findall(r"## ([^\n]+)\n.*?```(\w+)\n(.*?)```", PAGE, re.DOTALL)
RECIPES = {title: text for title, _, text in BLOCKS}
DENO = Path(sys.executable).with_name("deno")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys"


@pytest.fixture(scope="module")
def key(key_file: Path) -> str:
    return make_key(key_file, "ann", ("read", "submit"))


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, key_file: Path, key: str) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("s"), api_keys_file=str(key_file)) as system:
        yield system


@pytest.fixture
def film(media_folder: Path) -> Path:
    return cached_video(media_folder, Video(seconds=4.0, keyframe_seconds=1.0))


@pytest.fixture
def url(origin: Origin, film: Path) -> str:
    return origin.add("/film.mp4", answers.file(film))


def shell(text: str, folder: Path, **values: str) -> None:
    argv = ["bash", "-euo", "pipefail", "-c", text]
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", **values}
    subprocess.run(argv, cwd=folder, env=environ, check=True, timeout=90, capture_output=True)


def test_there_is_a_test_for_every_recipe() -> None:
    assert [title.partition(":")[0] for title, _, _ in BLOCKS] == [
        "curl", "curl", "n8n", "Make", "Express",
    ]  # fmt: skip


def test_curl_sends_a_video_and_gets_its_clip(
    keyed: System, key: str, film: Path, tmp_path: Path
) -> None:
    shutil.copy(film, tmp_path / "film.mp4")
    text = RECIPES["curl: send a video, get its clip"]
    shell(text, tmp_path, API=keyed.url + API_BASE, KEY=key)
    assert len(frame_numbers(tmp_path / "clip.mp4")) == 50


def test_curl_gets_many_clips_of_a_url(keyed: System, key: str, url: str, tmp_path: Path) -> None:
    text = RECIPES["curl: many clips of a URL, all in one ZIP"]
    shell(text, tmp_path, API=keyed.url + API_BASE, KEY=key, URL=url)
    with zipfile.ZipFile(tmp_path / "clips.zip") as archive:
        archive.extractall(tmp_path)
        counts = [len(frame_numbers(tmp_path / name)) for name in sorted(archive.namelist())]
    assert sorted(counts) == [25, 38]


def test_n8n_asks_and_is_told(keyed: System, key: str, url: str) -> None:
    node = json.loads(RECIPES["n8n"])["parameters"]
    with Receiver() as receiver:
        values = {
            "$env.API": keyed.url + API_BASE, "$env.KEY": key, "$json.url": url,
            "$execution.resumeUrl": receiver.url,
        }  # fmt: skip

        def filled(text: str) -> str:
            return re.sub(r"\{\{ (.+?) \}\}", lambda it: values[it[1]], text.removeprefix("="))

        headers = {it["name"]: filled(it["value"]) for it in node["headerParameters"]["parameters"]}
        answer = asked(node["method"], filled(node["url"]), headers, filled(node["jsonBody"]))
        assert answer.status_code == 202
        (came,) = receiver.wait_for(1, 60)
    artifact = came.message["data"]["result"]["artifacts"][0]
    whole = httpx2.get(keyed.url + artifact["url"], headers={"X-API-Key": key}, trust_env=False)
    assert len(whole.content) == artifact["size_bytes"]


def test_make_gets_the_finished_job(keyed: System, key: str, url: str) -> None:
    module = json.loads(RECIPES["Make"])["mapper"]
    values = {"API": keyed.url + API_BASE, "KEY": key, "1.url": url}

    def filled(text: str) -> str:
        return re.sub(r"\{\{(.+?)\}\}", lambda it: values[it[1]], text)

    headers = {it["name"]: filled(it["value"]) for it in module["headers"]}
    answer = asked(module["method"], filled(module["url"]), headers, filled(module["data"]))
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")


def asked(method: str, url: str, headers: dict[str, str], body: str) -> httpx2.Response:
    told = {"Content-Type": "application/json", **headers}
    return httpx2.request(
        method.upper(), url, headers=told, content=body, timeout=70, trust_env=False
    )


def test_express_cuts_what_it_always_did(keyed: System, key: str, url: str, tmp_path: Path) -> None:
    module = tmp_path / "cut.mjs"
    module.write_text(RECIPES["Express: the routes of an older backend"])
    clips: list[dict[str, Any]] = [
        {"setStartTime": 0, "setDuration": 1},
        {"setStartTime": "00:00:02", "setDuration": 1.5},
        {"setStartTime": 900, "setDuration": 1},
    ]
    given = [keyed.url + API_BASE, key, url, clips]
    call = f"const found = await cut(...{json.dumps(given)}); console.log(JSON.stringify(found));"
    (tmp_path / "main.mjs").write_text(f'import {{ cut }} from "./cut.mjs";\n{call}\n')
    host = urlsplit(keyed.url).netloc
    argv = [DENO, "run", "--no-prompt", f"--allow-net={host}", "--no-remote", "main.mjs"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    first, second, failed = json.loads(done.stdout)
    for path in (first, second):
        answer = httpx2.get(keyed.url + path, headers={"X-API-Key": key}, trust_env=False)
        assert answer.status_code == 200
    assert "past the end of the media" in failed
