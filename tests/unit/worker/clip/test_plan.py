"""What a source allows, and what its clip should hold."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.errors import NoSuchStream, RangeOutsideMedia
from tasks.kinds import ClipSpec
from tasks.media import AudioFacts, SubtitleFacts
from tasks.specs import Output, Source
from tests.unit.worker.clip.values import FACTS, plan, video
from worker.clip.plan import Pictures, expected_frames, plan_clip, with_longer_preroll
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


TEXTS = (
    SubtitleFacts("subrip", 2, is_text=True, language="eng"),
    SubtitleFacts("dvb_subtitle", 3, is_text=False, language="deu"),
)


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_texts_are_kept_and_pictures_of_texts_are_named_in_every_mode(mode: str) -> None:
    made = plan_clip(ClipSpec(SOURCE, 1.0, 2.0, mode), replace(FACTS, subtitles=TEXTS))
    assert [track.index for track in made.subtitles] == [2]
    assert made.warnings == ("the dvb_subtitle subtitles (deu) are pictures and were left out",)


def test_dropped_subtitles_are_not_missed() -> None:
    spec = ClipSpec(SOURCE, 1.0, 2.0, output=Output(subtitles="drop"))
    made = plan_clip(spec, replace(FACTS, subtitles=TEXTS))
    assert (made.subtitles, made.warnings) == ((), ())


@pytest.mark.parametrize(
    ("asked", "container", "kept"),
    [
        (0, "mp4", [1]),
        (1, "mp4", [2]),
        ("deu", "mp4", [2]),
        ("ENG", "mp3", [1]),
        ("all", "mkv", [1, 2]),
        ("all", "m4a", [2]),
    ],
)
def test_a_sound_is_chosen_by_number_or_language(
    asked: int | str, container: str, kept: list[int]
) -> None:
    assert sounds_of(container, audio_track=asked) == (kept, [])


@pytest.mark.parametrize("asked", [2, "fra"])
def test_a_sound_that_is_not_there_is_refused_with_what_is_there(asked: int | str) -> None:
    with pytest.raises(NoSuchStream, match=r"it has 0 \(eng\), 1 \(deu\)"):
        sounds_of("mp4", audio_track=asked)


def test_a_copy_leaves_out_the_sounds_that_do_not_fit_and_says_so() -> None:
    facts = replace(TWO, audio=(SECOND, AudioFacts("dts", 48000, 6, "eng", 3)))
    made = plan_clip(ClipSpec(SOURCE, 1.0, 2.0, "copy", Output(container="mp4")), facts)
    assert [track.index for track in made.sounds] == [2]
    assert made.warnings == ("mp4 does not take the dts sound (eng), which was left out",)


def test_sound_alone_never_needs_the_exact_decoder() -> None:
    assert not needs_exact_decoder(replace(FACTS, container="mpegts", video=None))


SHOWN = Pictures(count=150, first=10.0, zero=10.0, last=4.967, end=5.0)


def test_as_many_frames_are_expected_as_were_found_in_the_range() -> None:
    assert expected_frames(plan().showing(SHOWN)) == 150


def test_an_asked_rate_decides_how_many_frames_are_expected() -> None:
    assert expected_frames(plan(fps=10).showing(SHOWN)) == 50


@pytest.mark.parametrize("container", ["gif", "m4a"])
def test_no_frames_are_expected_where_none_can_be_counted(container: str) -> None:
    assert expected_frames(plan(container).showing(SHOWN)) is None
    assert expected_frames(plan()) is None


def test_a_picture_on_display_is_decoded_from_where_it_began() -> None:
    still = plan(start=10, end=15).showing(replace(SHOWN, first=4.0))
    assert (still.first, still.start, still.seek_seconds) == (4.0, 10.0, 3.5)


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


def spec(start: float, end: float, mode: str = "auto", **output: object) -> ClipSpec:
    """A clip as a client asks for it."""
    return ClipSpec(Source(url="https://a.example/v"), start, end, mode, Output(**output))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_an_end_past_the_end_is_moved_whatever_makes_the_clip(mode: str) -> None:
    found = plan_clip(spec(50, 3600, mode), FACTS)

    assert (found.end, found.asked_end, found.seconds) == (60, 3600, 10)


def test_the_client_is_told_of_a_moved_end_once() -> None:
    by_ffmpeg = plan_clip(spec(50, 3600, width=320), FACTS)
    by_pyav = plan_clip(spec(50, 3600), FACTS)

    assert by_ffmpeg.warnings == ("the end was moved to the end of the media, 60.000 s",)
    assert by_pyav.warnings == ()  # the program looks where the media ends, and says so


@pytest.mark.parametrize("mode", ["auto", "encode", "copy"])
def test_without_an_end_the_clip_ends_with_the_media_and_there_is_nothing_to_warn_of(
    mode: str,
) -> None:
    found = plan_clip(replace(spec(50, 51, mode), end=None), FACTS)

    assert (found.end, found.asked_end, found.warnings) == (60, 60, ())
    with pytest.raises(RangeOutsideMedia, match="past the end of the media"):
        plan_clip(replace(spec(60, 61, mode), end=None), FACTS)
    with pytest.raises(RangeOutsideMedia, match="give the clip an end"):
        plan_clip(replace(spec(50, 51, mode), end=None), replace(FACTS, duration_seconds=None))


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
