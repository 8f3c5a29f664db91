"""The whole examination on this machine, with the real tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def doctor(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLIPMILL_")}
    return subprocess.run(
        [sys.executable, "-m", "clipmill", "doctor", "--json"], cwd=folder, timeout=120,
        env=kept | {"CLIPMILL_PORT": "0"} | settings, capture_output=True, text=True,
    )  # fmt: skip


def test_everything_is_tried_and_each_trouble_has_its_remedy(tmp_path: Path) -> None:
    done = doctor(tmp_path, CLIPMILL_MEMORY_BUDGET="1000T")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    tried = {"settings", "python", "ffmpeg", "yt-dlp", "deno", "data folder", "disk", "memory"}
    assert set(findings) == tried | {"memory groups", "port", "keys", "broker"}
    for name in ("ffmpeg", "deno", "memory groups", "broker"):
        assert findings[name]["level"] == "ok", findings[name]
    assert done.returncode == 1
    assert findings["memory"]["level"] == "fail"
    assert all(finding["remedy"] for finding in findings.values() if finding["level"] != "ok")


def test_unusable_settings_are_named_and_the_tools_tried_all_the_same(tmp_path: Path) -> None:
    done = doctor(tmp_path, CLIPMILL_COLOUR="red")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 1
    assert "CLIPMILL_COLOUR" in findings["settings"]["detail"]
    assert findings["ffmpeg"]["level"] == "ok"
