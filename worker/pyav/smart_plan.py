"""Deciding which pictures to copy and which to encode. Pure."""

from dataclasses import dataclass

from worker.pyav.index import PacketRecord
from worker.pyav.window import Window


@dataclass(frozen=True, slots=True)
class SmartPlan:
    """A clip in three pieces; pictures are named by pts, positions are those of the index."""

    head: tuple[int, ...]  # encoded, in the order of showing
    copied: tuple[int, ...]  # in decode order
    tail: tuple[int, ...]  # encoded, in the order of showing
    head_from: int  # where decoding for the head begins
    copy_from: int
    tail_from: int  # where decoding for the tail begins

    @property
    def pieces(self) -> tuple[range, range, range]:
        """The positions of head, copied and tail among the clip's packets."""
        head, copied = len(self.head), len(self.head) + len(self.copied)
        return range(head), range(head, copied), range(copied, copied + len(self.tail))

    @property
    def order(self) -> tuple[int, ...]:
        """Every pts in the order of the clip's packets."""
        return self.head + self.copied + self.tail


def plan_smart(records: list[PacketRecord], window: Window) -> SmartPlan | None:
    """Copy from the first entry inside the range; None when nothing can be copied.

    A packet may be copied when every packet that it refers to is copied too. References precede in
    decode order, so a run of packets from an entry on is closed. The run has to stop where it would
    copy a picture that is shown later than a picture still wanted, because the rest is encoded and
    follows the run.
    """
    first, past = window.first, window.past
    for begin, record in enumerate(records):
        if record.entry and first <= record.pts < past:
            plan = _plan_from(records, begin, first, past)
            if plan is not None:
                return plan
    return None


def _plan_from(records: list[PacketRecord], begin: int, first: int, past: int) -> SmartPlan | None:
    entry = records[begin].pts
    if any(first <= record.pts < entry for record in records[begin:]):
        return None  # leading pictures are wanted, and need what lies before the entry
    head = tuple(sorted(record.pts for record in records[:begin] if first <= record.pts < past))
    if head and head[-1] > entry:
        return None
    stop = _stop(records, begin, past)
    if stop <= begin:
        return None
    copied = tuple(record.pts for record in records[begin:stop] if record.pts >= entry)
    tail = tuple(sorted(r.pts for r in records[stop:] if entry <= r.pts < past))
    return SmartPlan(
        head=head,
        copied=copied,
        tail=tail,
        head_from=decode_start(records, head[0]) if head else begin,
        copy_from=begin,
        tail_from=decode_start(records[:stop], tail[0]) if tail else stop,
    )


def _stop(records: list[PacketRecord], begin: int, past: int) -> int:
    """The position after the last packet to copy."""
    entry = records[begin].pts
    stop = next((i for i in range(begin, len(records)) if records[i].pts >= past), len(records))
    rest = min((r.pts for r in records[stop:] if entry <= r.pts < past), default=past)
    while stop > begin and max(r.pts for r in records[_recent(begin, stop) : stop]) > rest:
        stop -= 1
        if records[stop].pts >= entry:
            rest = min(rest, records[stop].pts)
    return stop


def _recent(begin: int, stop: int) -> int:
    """The first position to search for the latest picture: reordering reaches no further back."""
    return max(begin, stop - 64)


def decode_start(records: list[PacketRecord], first_pts: int) -> int:
    """The position to decode from so that the picture `first_pts` comes out right.

    The last entry at or before it; else the key packet before the last key packet, because a key
    packet that is no entry may need pictures before it to recover; else the first packet.
    """
    before = [i for i, record in enumerate(records) if record.pts <= first_pts]
    entries = [i for i in before if records[i].entry]
    if entries:
        return entries[-1]
    keys = [i for i in before if records[i].key]
    return keys[-2:][0] if keys else 0
