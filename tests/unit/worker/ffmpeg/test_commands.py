"""The commands as lists of words."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import NoSuchStream
from tasks.media import AudioFacts
from tests.unit.worker.clip.values import FACTS, after, plan, video
from worker.ffmpeg import copy_argv, encode_argv, thumbnail_argv


def test_the_seek_comes_before_the_input_and_the_cut_is_made_by_time_stamps() -> None:
    argv = encode_argv(plan(start=10.0, end=15.0))

    assert argv.index("-ss") < argv.index("-i")
    assert after(argv, "-ss") == "9.500000"
    assert "trim=end_pts=1349955:start_pts=899955" in after(argv, "-filter_complex")
    assert {"-copyts", "-noaccurate_seek"} < set(argv)


def test_zero_is_where_the_container_begins() -> None:
    facts = replace(FACTS, start_time_seconds=100.0)

    filters = after(encode_argv(plan(facts=facts)), "-filter_complex")

    assert "start_pts=9899955" in filters
    assert "setpts=max(PTS-9900000" in filters


def test_a_clip_from_the_beginning_does_not_seek() -> None:
    assert "-ss" not in encode_argv(plan(start=0.3, end=2))


def test_a_source_without_an_index_is_decoded_from_far_back() -> None:
    facts = replace(FACTS, container="mpegts")

    assert after(encode_argv(plan(facts=facts, start=20, end=21)), "-ss") == "8.000000"


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm", "gif", "m4a", "mp3"])
def test_every_command_opens_only_the_probed_format_and_asks_nothing(container: str) -> None:
    argv = encode_argv(plan(container))

    assert after(argv, "-format_whitelist") == FACTS.container
    assert after(argv, "-protocol_whitelist") == "file"
    assert "h264" in after(argv, "-codec_whitelist").split(",")
    assert int(after(argv, "-max_pixels")) == 100_000_000
    assert {"-nostdin", "-nostats", "-hide_banner"} < set(argv)
    assert after(argv, "-map_metadata") == after(argv, "-map_chapters") == "-1"


@pytest.mark.parametrize(
    ("container", "muxer"),
    [("mp4", "mp4"), ("mkv", "matroska"), ("webm", "webm"), ("m4a", "ipod"), ("mp3", "mp3")],
)
def test_the_container_is_named_and_not_guessed_from_the_file(container: str, muxer: str) -> None:
    assert after(encode_argv(plan(container)), "-f") == muxer


def test_a_file_name_is_never_an_option_or_a_protocol() -> None:
    odd = Path("-rtmp:") / "http:x.mp4"

    argv = copy_argv(odd, Path("-y"), 1, 2, FACTS, "mp4")

    assert after(argv, "-i").startswith("file:/")
    assert argv[-1].startswith("file:/")


def test_a_video_clip_of_sound_alone_is_refused() -> None:
    with pytest.raises(NoSuchStream, match="no video"):
        encode_argv(plan("mp4", replace(FACTS, video=None)))


def test_a_sound_clip_of_a_silent_video_is_refused() -> None:
    with pytest.raises(NoSuchStream, match="no sound"):
        encode_argv(plan("mp3", replace(FACTS, audio=())))


def test_dropped_sound_is_not_mapped() -> None:
    assert after(encode_argv(plan(audio="drop")), "-map") == "[s3]"
    assert "-c:a" not in encode_argv(plan(audio="drop"))


def test_surround_sound_becomes_stereo_where_the_codec_cannot_hold_it() -> None:
    surround = replace(FACTS, audio=(AudioFacts("ac3", 48000, 6),))

    assert "-ac" not in encode_argv(plan("mp4", surround))
    assert after(encode_argv(plan("webm", surround)), "-ac") == "2"


def test_threads_are_those_of_the_decoder_and_of_the_encoder() -> None:
    argv = encode_argv(plan(threads=2))

    assert after(argv, "-threads") == after(argv, "-threads:v") == "2"


def test_high_dynamic_range_is_mapped_and_ordinary_pictures_are_not() -> None:
    colour = replace(video().colour, transfer="smpte2084")
    hdr = replace(FACTS, video=video(pix_fmt="yuv420p10le", bit_depth=10, colour=colour))

    assert "tonemap" in after(encode_argv(plan(facts=hdr)), "-filter_complex")
    assert "tonemap" not in after(encode_argv(plan()), "-filter_complex")


def test_interlaced_pictures_stay_so_until_they_are_resized() -> None:
    interlaced = replace(FACTS, video=video(interlaced=True))

    kept, resized = (encode_argv(plan(facts=interlaced, width=w)) for w in (None, 640))

    assert "-flags:v" in kept
    assert "bwdif" not in after(kept, "-filter_complex")
    assert "-flags:v" not in resized
    assert "bwdif" in after(resized, "-filter_complex")


def test_a_long_gif_gets_a_palette_for_each_frame() -> None:
    short, long = (encode_argv(plan("gif", start=0, end=end)) for end in (5, 50))

    assert "stats_mode=full" in after(short, "-filter_complex")
    assert "stats_mode=single" in after(long, "-filter_complex")


def test_a_rate_close_to_a_television_rate_is_that_rate() -> None:
    assert "fps=30000/1001" in after(encode_argv(plan(fps=29.97)), "-filter_complex")
    assert "fps=25/1" in after(encode_argv(plan(fps=25)), "-filter_complex")


def test_a_copied_hevc_stream_gets_the_name_that_apple_knows() -> None:
    hevc = replace(FACTS, video=video(codec="hevc"))

    argv = copy_argv(Path("/a"), Path("/b"), 1, 2, hevc, "mp4")

    assert after(argv, "-tag:v") == "hvc1"


def test_a_thumbnail_is_one_small_jpeg() -> None:
    argv = thumbnail_argv(Path("/a"), Path("/b.jpg"), 4.0, 320, FACTS)

    assert after(argv, "-frames:v") == "1"
    assert "scale=320:180" in after(argv, "-filter_complex")


def test_a_thumbnail_of_sound_is_refused() -> None:
    with pytest.raises(NoSuchStream):
        thumbnail_argv(Path("/a"), Path("/b.jpg"), 0, 320, replace(FACTS, video=None))
