"""Media facts survive the way through JSON."""

import json

from tasks.media import AudioFacts, ColourFacts, MediaFacts, SubtitleFacts, VideoFacts


def test_facts_written_as_json_are_read_back_equal():
    facts = MediaFacts(
        container="matroska,webm",
        start_time_seconds=0.021,
        duration_seconds=12.5,
        size_bytes=4096,
        video=VideoFacts(
            codec="hevc",
            profile="Main 10",
            width=1920,
            height=1080,
            pix_fmt="yuv420p10le",
            bit_depth=10,
            fps=29.97,
            rotation=90,
            sample_aspect_ratio="4:3",
            colour=ColourFacts("bt2020", "smpte2084", "bt2020nc", "tv"),
        ),
        audio=(AudioFacts("aac", 48000, 2, "eng"), AudioFacts("opus", 48000, 6)),
        subtitles=(SubtitleFacts("subrip", 3, is_text=True, language="eng"),),
        chapter_count=3,
    )
    assert MediaFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_facts_of_a_file_without_video_are_read_back_equal():
    facts = MediaFacts("mp3", 0.0, None, 10, audio=(AudioFacts("mp3", 44100, 1),))
    assert MediaFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_only_pq_and_hlg_count_as_high_dynamic_range():
    transfers = ["smpte2084", "arib-std-b67", "bt709", None]
    assert [ColourFacts(transfer=name).hdr for name in transfers] == [True, True, False, False]
