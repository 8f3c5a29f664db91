"""The copy: packets from the keyframe at or before the start, with nothing encoded."""

from dataclasses import replace

from tasks.errors import NoSuchStream
from worker.pyav.index import PacketRecord
from worker.pyav.open_range import Source
from worker.pyav.smart_plan import SmartPlan
from worker.pyav.window import Window


def plan_copy(source: Source) -> tuple[Source, SmartPlan]:
    """What to copy, and the range as the copy has it.

    Pictures that are shown before the keyframe lean on earlier ones and are left out; the last
    pictures of the range may lean on some that are shown after it, which are copied as well.
    Raises NoSuchStream where the copy would not be right.
    """
    if source.index.trouble is not None:
        raise _refusal(source.index.trouble)
    records, window = source.index.records, source.window
    begin = _begin(records, window)
    key = records[begin].pts
    last = max(i for i in range(begin, len(records)) if key <= records[i].pts < window.past)
    copied = tuple(record.pts for record in records[begin : last + 1] if record.pts >= key)
    whole = SmartPlan((), copied, (), head_from=begin, copy_from=begin, tail_from=last + 1)
    shown = sorted(copied)
    length = source.last_length
    if shown[-1] != source.wanted[-1]:
        length = source.index.shown_until(shown[-1]) - shown[-1]
    own = replace(window, on_display=None)
    return replace(source, window=own, wanted=shown, last_length=length), whole


def _begin(records: list[PacketRecord], window: Window) -> int:
    """The position of the last keyframe at or before the start, else of the media's first one."""
    keys = [i for i, record in enumerate(records) if record.key and record.pts < window.past]
    before = [i for i in keys if records[i].pts <= window.last_at_start]
    if before:
        return max(before, key=lambda i: records[i].pts)
    if not keys or min(record.pts for record in records) <= window.last_at_start:
        raise _refusal("no keyframe lies at or before the start")
    return keys[0]


def _refusal(reason: str) -> NoSuchStream:
    return NoSuchStream(f"the source cannot be copied: {reason}; mode auto cuts it exactly")
