"""What is copied and what is encoded, decided from packets alone."""

from fractions import Fraction

from worker.pyav.index import PacketRecord
from worker.pyav.smart_plan import decode_start, plan_smart
from worker.pyav.window import Window


def _window(first: int, past: int) -> Window:
    """A window of whole ticks; the grace of half a millisecond is far below one."""
    return Window(Fraction(1), Fraction(0), Fraction(first), Fraction(past))


def _records(text: str) -> list[PacketRecord]:
    """`12!` may be entered, `12*` is only flagged key, `12` is neither; in decode order."""
    return [
        PacketRecord(int(word.rstrip("!*")), key=word[-1] in "!*", entry=word[-1] == "!")
        for word in text.split()
    ]


CLOSED = _records("0! 3 1 2 4 7 5 6 8! 11 9 10 12 15 13 14 16!")


def test_frames_before_the_first_keyframe_are_encoded_and_the_rest_copied():
    plan = plan_smart(CLOSED, _window(5, 16))
    assert plan is not None
    assert plan.head == (5, 6, 7)
    assert plan.copied == (8, 11, 9, 10, 12, 15, 13, 14)
    assert plan.tail == ()


def test_a_range_of_whole_groups_is_copied_whole():
    plan = plan_smart(CLOSED, _window(0, 16))
    assert plan is not None
    assert (plan.head, plan.tail) == ((), ())
    assert len(plan.copied) == 16


def test_frames_that_need_a_frame_past_the_end_are_encoded():
    plan = plan_smart(CLOSED, _window(8, 15))
    assert plan is not None
    assert plan.copied == (8, 11, 9, 10, 12)
    assert plan.tail == (13, 14)  # they refer to 15, which is outside


def test_no_copied_frame_shows_after_an_encoded_one():
    records = _records("0! 8 4 2 1 3 6 5 7 16! ")
    for past in range(1, 9):
        plan = plan_smart(records, _window(0, past))
        assert plan is not None
        assert sorted(plan.order) == list(range(past))
        assert not plan.tail or max(plan.copied) < min(plan.tail)


def test_a_range_inside_one_group_cannot_be_copied():
    assert plan_smart(CLOSED, _window(1, 8)) is None


def test_a_key_that_is_no_entry_is_not_copied_from():
    assert plan_smart(_records("0! 3 1 2 6* 4 5 9 7 8"), _window(2, 9)) is None


def test_an_entry_whose_leading_frames_are_wanted_is_passed_over():
    records = _records("0! 3 1 2 6! 4 5 9 7 8 12! 15 13 14")
    plan = plan_smart(records, _window(4, 15))
    assert plan is not None
    assert plan.copied[0] == 12
    assert plan.head == tuple(range(4, 10))


def test_decoding_begins_at_the_last_entry_before_the_frame():
    assert decode_start(CLOSED, 9) == 8
    assert decode_start(CLOSED, 7) == 0


def test_without_an_entry_decoding_begins_two_keys_back_to_recover():
    records = _records("0* 1 2 3* 4 5 6* 7 8")
    assert decode_start(records, 8) == 3
    assert decode_start(records, 2) == 0
