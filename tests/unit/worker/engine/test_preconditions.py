"""Sites that hold up jobs are known while they do, and not without end."""

from __future__ import annotations

from worker.engine.preconditions import MOST_SITES, ThrottledSites


def test_a_site_is_told_until_its_time_is_over_or_it_answers() -> None:
    seen = ThrottledSites()
    seen.note("over.example", 0.0)
    seen.note("video.example", 60.0)
    seen.note("video.example", 60.0)
    assert seen.sites() == ("video.example",)
    seen.forget("video.example")
    seen.forget("never.example")
    assert seen.sites() == ()


def test_of_many_the_longest_are_told() -> None:
    seen = ThrottledSites()
    for number in range(MOST_SITES + 5):
        seen.note(f"site{number}.example", 60.0 + number)
    assert len(seen.sites()) == MOST_SITES
    assert seen.sites()[0] == f"site{MOST_SITES + 4}.example"
