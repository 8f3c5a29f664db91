"""A newer yt-dlp without a new Clipmill: tried before it is used, and with the way back."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yt_dlp
from click.testing import CliRunner, Result

from clipmill.cli import main
from config.ytdlp import current, folder_of, present_version
from tests.support.media import Video, cached_video
from tests.support.origin import Origin, answers
from tests.support.system import System

PACKAGE = Path(yt_dlp.__file__).parent
BUNDLED = present_version(Path("/nowhere"))
Upgrade = Callable[..., Result]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages in place of the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    monkeypatch.setenv("CLIPMILL_DATA_DIR", str(tmp_path / "data"))
    return lambda *more: CliRunner().invoke(main, ["upgrade-tools", *more])


def package(index: Path, version: str, *, broken: bool = False) -> None:
    """The yt-dlp that is here, as another version; a broken one ends as soon as it starts."""
    with zipfile.ZipFile(index / f"yt_dlp-{version}-py3-none-any.whl", "w") as wheel:
        for path in sorted(PACKAGE.rglob("*.py")):
            text = path.read_text()
            if path.name == "version.py" and path.parent == PACKAGE:
                text = text.replace(yt_dlp.version.__version__, version)
            if broken and path.name == "__main__.py" and path.parent == PACKAGE:
                text = "raise SystemExit('this release is broken')"
            wheel.writestr(f"yt_dlp/{path.relative_to(PACKAGE)}", text)
        info = f"yt_dlp-{version}.dist-info"
        fields = ["Metadata-Version: 2.1", "Name: yt-dlp", f"Version: {version}"]
        wheel.writestr(f"{info}/METADATA", "\n".join([*fields, "Provides-Extra: default", ""]))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_a_newer_version_is_tried_used_and_left_again(
    index: Path, upgrade: Upgrade, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    package(index, "2099.1.1")
    done = upgrade("--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"yt_dlp": {"before": BUNDLED, "now": "2099.1.1"}}
    assert present_version(data) == "2099.1.1"
    assert "used already" in upgrade().output
    package(index, "2099.1.2", broken=True)
    refused = upgrade()
    assert refused.exit_code == 1
    assert "this release is broken" in refused.output
    assert present_version(data) == "2099.1.1"
    unknown = upgrade("--version", "2098.1.1")
    assert unknown.exit_code == 1
    assert "No matching distribution" in unknown.output
    package(index, "2099.1.3")
    assert upgrade().exit_code == 0
    assert "2099.1.1 is used from now on (before: 2099.1.3)" in upgrade("--back").output
    assert f"{BUNDLED} is used from now on" in upgrade("--back").output
    assert upgrade("--back").exit_code == 1
    assert current(data) is None
    assert not [it for it in folder_of(data).iterdir() if it.name.startswith(".")]


def test_jobs_use_it_from_then_on_without_a_restart(
    own_system: System,
    index: Path,
    media_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = own_system
    monkeypatch.setenv("CLIPMILL_DATA_DIR", str(system.data))
    package(index, "2099.1.1")
    with Origin() as origin:
        url = origin.add("/film.mp4", answers.file(cached_video(media_folder, Video(seconds=1.0))))
        done = CliRunner().invoke(main, ["upgrade-tools"])
        assert done.exit_code == 0, done.output

        def state_of_a_job(kind: str) -> str:
            job = system.submit(kind=kind, source={"url": f"{url}?{kind}"})
            ended = system.until(job["id"])
            return str(ended["error"] or ended["state"])

        assert [state_of_a_job(kind) for kind in ("extract", "download")] == ["succeeded"] * 2
        place = current(system.data)
        assert place is not None
        (place / "yt_dlp" / "__main__.py").write_text("raise SystemExit(3)")
        job = system.submit(kind="extract", source={"url": f"{url}?broken"})
        seen = system.until(job["id"], lambda it: it["wait_reason"] == "retry" or it["error"])
        assert seen["state"] != "succeeded"
        assert CliRunner().invoke(main, ["upgrade-tools", "--back"]).exit_code == 0
        assert state_of_a_job("extract") == "succeeded"
