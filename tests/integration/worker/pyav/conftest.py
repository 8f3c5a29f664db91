"""Sources made once a run, and the cut as the programs run it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import SOURCES, make_source
from worker.pyav.protocol import Progress, Refusal, Result, encode_spec, parse_line

ROOT = Path(__file__).parents[4]
Program = Callable[..., Result | Refusal]


@pytest.fixture(scope="session")
def source_named(media_folder: Path) -> Callable[[str], Path]:
    """The file of a source in `SOURCES`."""
    folder = media_folder / "sources"
    folder.mkdir(exist_ok=True)
    return lambda name: make_source(folder, SOURCES[name])


@pytest.fixture
def run_program(tmp_path: Path) -> Program:
    """Run a media program as the worker does, and return its last word.

    Fails when the program crashes or says anything that is not of the protocol.
    """

    def run(name: str, **spec: Any) -> Result | Refusal:
        argv = [sys.executable, "-m", f"worker.pyav.{name}", encode_spec(spec)]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 0, done.stderr
        words = [parse_line(line) for line in done.stdout.splitlines()]
        assert words, "the program said nothing"
        assert all(isinstance(word, Progress) for word in words[:-1])
        assert isinstance(words[-1], Result | Refusal), json.dumps(done.stdout)
        return words[-1]

    return run
