"""Reading what FFmpeg says on its way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.ffmpeg import Progress, ProgressParser

REPORT = """frame=60
fps=29.9
stream_0_0_q=23.0
bitrate= 812.4kbits/s
total_size=203100
out_time_us=2000000
out_time_ms=2000000
out_time=00:00:02.000000
dup_frames=0
drop_frames=0
speed=1.99x
progress={}"""


def feed(parser: ProgressParser, text: str) -> list[Progress]:
    return [found for line in text.splitlines() if (found := parser.feed(line))]


def clock_of(*times: float) -> Iterator[float]:
    return iter(times)


def test_frames_say_how_far_it_is_where_they_can_be_counted() -> None:
    times = clock_of(100.0, 101.0)
    parser = ProgressParser(4.0, 120, clock=lambda: next(times))

    assert feed(parser, REPORT.format("continue")) == [Progress(0.5, 2.0, 1.0, 60)]


def test_time_says_how_far_it_is_where_no_frames_are_known() -> None:
    times = clock_of(100.0, 101.0)
    parser = ProgressParser(8.0, clock=lambda: next(times))

    assert feed(parser, REPORT.format("continue")) == [Progress(0.25, 2.0, 3.0, 60)]


def test_the_last_report_is_all_of_it() -> None:
    (last,) = feed(ProgressParser(4.0, 120), REPORT.format("end"))

    assert (last.fraction, last.frames, last.finished) == (1.0, 60, True)


def test_more_frames_than_expected_are_never_more_than_all() -> None:
    (found,) = feed(ProgressParser(1.0, 10), REPORT.format("continue"))

    assert found.fraction == 1.0
    assert found.eta_seconds == 0.0


def test_nothing_is_known_before_the_first_frame() -> None:
    parser = ProgressParser(4.0, 120)

    (found,) = feed(parser, "frame=0\nout_time_us=N/A\nspeed=N/A\nprogress=continue")

    assert found == Progress(0.0, None, None, 0)


@pytest.mark.parametrize(
    "line",
    ["", "=", "progress", "frame=" + "9" * 5000, "frame=-1", "out_time_us=1e400", "frame=\x00",
     "progress=continue extra", "unknown=1", "frame==1", "\xff\xfe"],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_passed_over(line: str) -> None:
    assert ProgressParser(1.0).feed(line) is None
