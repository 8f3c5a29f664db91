from __future__ import annotations

import pytest

from clipmill.client.errors import BadAnswer
from clipmill.client.events import Event, read_events


def test_events_come_with_their_id_and_comments_are_passed_over() -> None:
    lines = [": still here", "", "id: 7", "event: job", 'data: {"a":', "data: 1}", "", "id: 8"]
    assert list(read_events(lines)) == [Event("7", "job", {"a": 1})]


def test_an_event_without_an_id_keeps_the_last_one() -> None:
    lines = ["id: 7", "data: 1", "", "data: 2", ""]
    assert [event.id for event in read_events(lines)] == ["7", "7"]


def test_an_event_cut_off_in_the_middle_is_not_given_out() -> None:
    assert list(read_events(["id: 7", 'data: {"a": 1}'])) == []


def test_data_that_is_not_json_is_refused() -> None:
    with pytest.raises(BadAnswer):
        list(read_events(["data: <html>", ""]))
