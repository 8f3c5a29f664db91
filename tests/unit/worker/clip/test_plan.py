"""What a source allows, and what its clip should hold."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.errors import NoSuchStream, RangeOutsideMedia
from tasks.kinds import ClipSpec
from tasks.media import AudioFacts
from tasks.specs import Output, Source
from tests.unit.worker.clip.values import FACTS, plan, video
from worker.clip.plan import expected_frames, lost_frames, plan_clip, with_longer_preroll
from worker.clip.seeking import needs_exact_decoder
from worker.clip.strategy import Mode, Tool, can_copy


@pytest.mark.parametrize(
    ("container", "exact"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", False),
        ("matroska,webm", False),
        ("flv", False),
        ("mpegts", True),
        ("mpeg", True),
        ("avi", False),
    ],
)
def test_sources_without_an_index_need_the_exact_decoder(container: str, exact: bool) -> None:
    assert needs_exact_decoder(replace(FACTS, container=container)) is exact


def test_avi_with_reordered_pictures_does_too_since_it_has_no_times_for_them() -> None:
    facts = replace(FACTS, container="avi", video=video(reorders=True))
    assert needs_exact_decoder(facts)
    assert not needs_exact_decoder(replace(facts, container="matroska,webm"))


SOURCE = Source(url="https://media.example/v")
SECOND = AudioFacts("aac", 48000, 2, "deu", 2, default=True)
TWO = replace(FACTS, audio=(AudioFacts("ac3", 48000, 6, "eng", 1), SECOND))


def sounds_of(container: str, mode: str = "auto", **output: Any) -> tuple[list[int], list[str]]:
    """The indexes of the tracks that a clip of `TWO` keeps, and its warnings."""
    spec = ClipSpec(SOURCE, 1.0, 2.0, mode, Output(container=container, **output))
    made = plan_clip(spec, TWO)
    return [track.index for track in made.sounds], list(made.warnings)


@pytest.mark.parametrize(
    ("container", "kept"), [("mp4", [1, 2]), ("mkv", [1, 2]), ("mp3", [2]), ("m4a", [2])]
)
def test_all_sounds_are_kept_where_several_may_be_else_the_default_one(
    container: str, kept: list[int]
) -> None:
    assert sounds_of(container) == (kept, [])


def test_what_nobody_can_decode_is_named_and_is_no_silent_clip_of_sound() -> None:
    strange = replace(FACTS, undecodable=("unknown sound",))
    made = plan_clip(ClipSpec(SOURCE, 1.0, 2.0), strange)
    assert made.warnings == ("the unknown sound cannot be decoded here and was left out",)
    hidden = replace(FACTS, video=None, undecodable=("vvc video",))
    with pytest.raises(NoSuchStream, match="vvc video cannot be decoded here"):
        plan_clip(ClipSpec(SOURCE, 1.0, 2.0), hidden)
    alone = plan_clip(ClipSpec(SOURCE, 1.0, 2.0, output=Output(container="m4a")), hidden)
    assert not alone.keeps_picture


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_subtitles_that_are_lost_are_mentioned_in_every_mode(mode: str) -> None:
    spec = ClipSpec(SOURCE, 1.0, 2.0, mode)
    assert plan_clip(spec, FACTS).warnings == ()
    lost = plan_clip(spec, replace(FACTS, subtitle_count=2))
    assert lost.warnings == ("subtitles are not kept in clips",)


def test_a_copy_leaves_out_the_sounds_that_do_not_fit_and_says_so() -> None:
    facts = replace(TWO, audio=(SECOND, AudioFacts("dts", 48000, 6, "eng", 3)))
    made = plan_clip(ClipSpec(SOURCE, 1.0, 2.0, "copy", Output(container="mp4")), facts)
    assert [track.index for track in made.sounds] == [2]
    assert made.warnings == ("mp4 does not take the dts sound (eng), which was left out",)


def test_sound_alone_never_needs_the_exact_decoder() -> None:
    assert not needs_exact_decoder(replace(FACTS, container="mpegts", video=None))


def test_a_clip_that_misses_frames_is_noticed() -> None:
    clip = plan(start=10, end=15)

    assert expected_frames(clip) == 150
    assert not lost_frames(clip, 150)
    assert not lost_frames(clip, 149)
    assert lost_frames(clip, 140)


def test_a_clip_is_expected_to_end_where_its_source_does() -> None:
    assert expected_frames(plan(start=58, end=100)) == 60


def test_an_asked_rate_decides_how_many_frames_are_expected() -> None:
    assert expected_frames(plan(fps=10)) == 50


@pytest.mark.parametrize("container", ["gif", "m4a"])
def test_no_frames_are_expected_where_none_can_be_counted(container: str) -> None:
    assert expected_frames(plan(container)) is None
    assert not lost_frames(plan(container), 0)


def test_a_longer_preroll_is_tried_once() -> None:
    longer = with_longer_preroll(plan(start=30, end=31))

    assert longer is not None
    assert longer.seek_seconds == 18
    assert with_longer_preroll(longer) is None
    assert with_longer_preroll(plan(start=0.2, end=1)) is None


@pytest.mark.parametrize(
    ("codec", "sound", "container", "copies"),
    [
        ("h264", "aac", "mp4", True),
        ("h264", "vorbis", "mp4", False),
        ("h264", "vorbis", "mkv", True),
        ("h264", "aac", "webm", False),
        ("vp9", "opus", "webm", True),
        ("h264", "aac", "m4a", True),
        ("h264", "aac", "mp3", False),
        ("h264", "aac", "gif", False),
    ],
)
def test_only_what_a_container_holds_is_copied_into_it(
    codec: str, sound: str, container: str, copies: bool
) -> None:
    facts = replace(FACTS, video=video(codec=codec), audio=(AudioFacts(sound, 48000, 2),))

    assert can_copy(facts, container) is copies


def test_nothing_is_copied_from_where_a_seek_misses_the_key_picture() -> None:
    assert not can_copy(replace(FACTS, container="mpegts"), "mp4")


def spec(start: float, end: float, mode: str = "auto", **output: object) -> ClipSpec:
    """A clip as a client asks for it."""
    return ClipSpec(Source(url="https://a.example/v"), start, end, mode, Output(**output))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_an_end_past_the_end_is_moved_whatever_makes_the_clip(mode: str) -> None:
    found = plan_clip(spec(50, 3600, mode), FACTS)

    assert (found.end, found.asked_end, found.seconds) == (60, 3600, 10)


def test_the_client_is_told_of_a_moved_end_once() -> None:
    by_ffmpeg, by_pyav = (plan_clip(spec(50, 3600, mode), FACTS) for mode in ("encode", "auto"))

    assert by_ffmpeg.warnings == ("the end was moved to the end of the media, 60.000 s",)
    assert by_pyav.warnings == ()  # the program looks where the media ends, and says so


def test_a_rounded_end_is_left_alone() -> None:
    found = plan_clip(spec(50, 60.2, "encode"), FACTS)

    assert (found.end, found.warnings) == (60.2, ())


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_a_start_past_the_end_is_refused_before_anything_is_reserved(mode: str) -> None:
    with pytest.raises(RangeOutsideMedia, match="past the end of the media"):
        plan_clip(spec(60, 70, mode), FACTS)


def test_what_turns_out_not_to_be_copied_is_encoded_by_the_same_tool_for_that_reason() -> None:
    plan = plan_clip(spec(10, 15, quality="high"), FACTS).tuned(2, 0)
    whole = plan.encode_whole("no keyframe in the range")

    assert (plan.strategy.mode, plan.copies_pictures) == (Mode.SMART, True)
    assert (whole.strategy.tool, whole.strategy.mode) == (Tool.PYAV, Mode.ENCODE)
    assert whole.strategy.reason == "no keyframe in the range"
    assert not whole.copies_pictures
    assert replace(whole, strategy=plan.strategy) == plan


@pytest.mark.parametrize(
    ("codec", "copies"), [("h264", True), ("vp9", True), ("av1", True), ("hevc", False)]
)
def test_a_cut_of_hevc_is_tried_but_not_counted_upon(codec: str, copies: bool) -> None:
    found = plan_clip(spec(10, 15), replace(FACTS, video=video(codec=codec)))

    assert found.strategy.mode is Mode.SMART
    assert found.copies_pictures is copies
