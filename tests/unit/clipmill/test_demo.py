from __future__ import annotations

from pathlib import Path

import pytest

from clipmill.demo.memory import tree_bytes
from clipmill.demo.run import Plan, clip_ranges, demo_environment, networks_of
from clipmill.demo.site import asked_range
from config.settings import load_settings


def plan(**changes: object) -> Plan:
    values = {"url": None, "mode": "encode", "seconds": 300.0, "clips": 12, "clip_seconds": 15.0}
    return Plan(output=Path("out"), **(values | changes))


def test_the_clips_are_spread_from_the_first_second_to_the_last() -> None:
    ranges = clip_ranges(plan(), 300.0)
    assert len(ranges) == 12
    assert ranges[0] == {"start": 0.0, "end": 15.0}
    assert ranges[-1] == {"start": 285.0, "end": 300.0}


def test_a_source_shorter_than_a_clip_is_taken_whole() -> None:
    assert clip_ranges(plan(clips=2), 10.0) == [{"start": 0.0, "end": 10.0}] * 2


def test_one_clip_alone_begins_at_the_start() -> None:
    assert clip_ranges(plan(clips=1), 300.0) == [{"start": 0.0, "end": 15.0}]


@pytest.mark.parametrize(
    ("header", "span"),
    [("", (0, 99)), ("bytes=0-", (0, 99)), ("bytes=10-19", (10, 19)), ("bytes=90-200", (90, 99))],
)
def test_the_site_reads_a_range(header: str, span: tuple[int, int]) -> None:
    assert asked_range(header, 100) == span


def test_only_an_address_that_is_not_public_has_to_be_allowed() -> None:
    assert networks_of("http://127.0.0.1:8000/watch") == "127.0.0.1"
    assert networks_of("http://8.8.8.8/video") == ""
    assert networks_of("no url at all") == ""


def test_the_settings_of_the_user_do_not_reach_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIPMILL_API_KEYS_FILE", "/nowhere")
    monkeypatch.setenv("CLIPMILL_REDIS_URL", "redis://elsewhere")
    settings = load_settings(demo_environment(tmp_path, "127.0.0.1"))
    assert settings.redis_url is None
    assert settings.api_keys_file is None
    assert settings.memory_budget_bytes == 512 * 2**20


def test_the_memory_of_nobody_is_nothing() -> None:
    assert tree_bytes([2**22 + 1]) == 0
