"""Packages of npm that tests use, as files: `python -m tests.support.npm` fetches them anew."""

from __future__ import annotations

from pathlib import Path

VERIFY = Path(__file__).with_name("verify.cjs")
