"""The commands as lists of words."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import NoSuchStream
from tasks.media import AudioFacts
from tests.unit.worker.clip.values import FACTS, after, plan, video
from worker.clip.plan import ClipPlan, Pictures
from worker.ffmpeg import encode_argv, remux_argv, thumbnail_argv

SOURCE, TARGET = Path("/job/source"), Path("/job/clip")


def encode(clip: ClipPlan) -> list[str]:
    return encode_argv(clip, SOURCE, TARGET)


def test_the_seek_comes_before_the_input_and_the_cut_is_made_by_time_stamps() -> None:
    argv = encode(plan(start=10.0, end=15.0))

    assert argv.index("-ss") < argv.index("-i")
    assert after(argv, "-ss") == "9.500000"
    assert "trim=end_pts=1349955:start_pts=899955" in after(argv, "-filter_complex")
    assert {"-copyts", "-noaccurate_seek"} < set(argv)


def test_zero_is_where_the_container_begins() -> None:
    facts = replace(FACTS, start_time_seconds=100.0)

    filters = after(encode(plan(facts=facts)), "-filter_complex")

    assert "start_pts=9899955" in filters
    assert "setpts=max(PTS-9900000" in filters


def test_a_clip_from_the_beginning_does_not_seek() -> None:
    assert "-ss" not in encode(plan(start=0.3, end=2))


def test_a_source_without_an_index_is_decoded_from_far_back() -> None:
    facts = replace(FACTS, container="mpegts")

    assert after(encode(plan(facts=facts, start=20, end=21)), "-ss") == "8.000000"


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm", "gif"])
def test_every_command_opens_only_the_probed_format_and_asks_nothing(container: str) -> None:
    argv = encode(plan(container))

    assert after(argv, "-format_whitelist") == FACTS.container
    assert after(argv, "-protocol_whitelist") == "file"
    assert "h264" in after(argv, "-codec_whitelist").split(",")
    assert int(after(argv, "-max_pixels")) == 100_000_000
    assert {"-nostdin", "-nostats", "-hide_banner"} < set(argv)
    assert after(argv, "-map_metadata") == after(argv, "-map_chapters") == "-1"


@pytest.mark.parametrize(
    ("container", "muxer"), [("mp4", "mp4"), ("mkv", "matroska"), ("webm", "webm"), ("gif", "gif")]
)
def test_the_container_is_named_and_not_guessed_from_the_file(container: str, muxer: str) -> None:
    assert after(encode(plan(container)), "-f") == muxer


def test_a_file_name_is_never_an_option_or_a_protocol() -> None:
    odd = Path("-rtmp:") / "http:x.mp4"

    argv = encode_argv(plan(), odd, Path("-y"))

    assert after(argv, "-i").startswith("file:/")
    assert argv[-1].startswith("file:/")


def test_a_video_clip_of_sound_alone_is_refused() -> None:
    with pytest.raises(NoSuchStream, match="no video"):
        encode(plan("mp4", replace(FACTS, video=None)))


def test_dropped_sound_is_not_mapped() -> None:
    assert after(encode(plan(audio="drop")), "-map") == "[s3]"
    assert "-c:a" not in encode(plan(audio="drop"))


def test_surround_sound_becomes_stereo_where_the_codec_cannot_hold_it() -> None:
    surround = replace(FACTS, audio=(AudioFacts("ac3", 48000, 6),))

    assert "-ac:a:0" not in encode(plan("mp4", surround))
    assert after(encode(plan("webm", surround)), "-ac:a:0") == "2"


def test_streams_are_taken_by_their_index_with_their_names() -> None:
    """The first stream may be a cover, or a sound that nobody can decode."""
    tracks = (
        AudioFacts("aac", 48000, 2, "deu", 3, title="Mikro"),
        AudioFacts("aac", 48000, 2, "eng", 4, default=True),
    )
    facts = replace(FACTS, video=video(index=1), audio=tracks)
    argv = encode(plan(facts=facts))
    assert after(argv, "-metadata:s:a:0") == "language=deu"
    assert after(argv, "-metadata:s:1") == "title=Mikro"
    assert after(argv, "-disposition:a:0") == "0"
    assert after(argv, "-disposition:a:1") == "default"
    filters = after(argv, "-filter_complex")
    assert all(f"[0:{index}]" in filters for index in (1, 3, 4))


def test_pictures_without_times_are_counted_from_the_first_one_on() -> None:
    facts = replace(FACTS, container="avi", video=video(reorders=True))
    argv = encode(plan(facts=facts))
    assert after(argv, "-r") == "30/1"
    assert "-ss" not in argv


@pytest.mark.parametrize(("channels", "standard"), [(1, 80_000), (2, 160_000), (6, 480_000)])
def test_each_channel_of_sound_gets_its_bits_and_more_for_a_better_quality(
    channels: int, standard: int
) -> None:
    facts = replace(FACTS, audio=(AudioFacts("flac", 48000, channels),))
    rates = [
        int(after(encode(plan(facts=facts, quality=quality)), "-b:a:0"))
        for quality in ("draft", "standard", "high")
    ]

    assert rates == sorted(set(rates))
    assert rates[1] == standard


def test_threads_are_those_of_the_decoder_and_of_the_encoder() -> None:
    argv = encode(plan(threads=2))

    assert after(argv, "-threads") == after(argv, "-threads:v") == "2"


def test_high_dynamic_range_is_mapped_and_ordinary_pictures_are_not() -> None:
    colour = replace(video().colour, transfer="smpte2084")
    hdr = replace(FACTS, video=video(pix_fmt="yuv420p10le", bit_depth=10, colour=colour))

    assert "tonemap" in after(encode(plan(facts=hdr)), "-filter_complex")
    assert "tonemap" not in after(encode(plan()), "-filter_complex")


def test_interlaced_pictures_stay_so_until_they_are_resized() -> None:
    interlaced = replace(FACTS, video=video(interlaced=True))

    kept, resized = (encode(plan(facts=interlaced, width=w)) for w in (None, 640))

    assert "-flags:v" in kept
    assert "bwdif" not in after(kept, "-filter_complex")
    assert "-flags:v" not in resized
    assert "bwdif" in after(resized, "-filter_complex")


def test_a_long_gif_gets_a_palette_for_each_frame() -> None:
    short, long = (encode(plan("gif", start=0, end=end)) for end in (5, 50))

    assert "stats_mode=full" in after(short, "-filter_complex")
    assert "stats_mode=single" in after(long, "-filter_complex")


def test_a_rate_close_to_a_television_rate_is_that_rate() -> None:
    assert "fps=30000/1001" in after(encode(plan(fps=29.97)), "-filter_complex")
    assert "fps=25/1" in after(encode(plan(fps=25)), "-filter_complex")


def test_a_moved_hevc_stream_gets_the_name_that_apple_knows() -> None:
    hevc = replace(FACTS, video=video(codec="hevc"))

    assert after(remux_argv(SOURCE, TARGET, hevc, "mp4"), "-tag:v") == "hvc1"


@pytest.mark.parametrize(("end", "keyed"), [(5.0, False), (6.5, True)])
def test_the_last_picture_ends_with_the_range_and_a_still_is_decoded_last(
    end: float, keyed: bool
) -> None:
    argv = encode(plan().showing(Pictures(150, 10.0, 10.0, last=4.967, end=end)))

    assert f"{end - 4.967:.6f}/TB" in after(argv, "-bsf:v")
    assert ("-force_key_frames:v" in argv) is keyed


def test_a_thumbnail_is_one_small_jpeg() -> None:
    argv = thumbnail_argv(Path("/a"), Path("/b.jpg"), 4.0, 320, FACTS)

    assert after(argv, "-frames:v") == "1"
    assert "scale=320:180" in after(argv, "-filter_complex")


def test_a_thumbnail_of_sound_is_refused() -> None:
    with pytest.raises(NoSuchStream):
        thumbnail_argv(Path("/a"), Path("/b.jpg"), 0, 320, replace(FACTS, video=None))
