"""Programs that open media with PyAV, each run as its own supervised process.

`python -m worker.pyav.probe SPEC` reports what a file holds, and `cut` makes one clip: a copy, a
smart cut or an encode. For FFmpeg's command, `look` finds which pictures a range has, `dress` adds
subtitles and chapters, and `check` compares the clip with its source. The worker itself imports
`client`, `protocol` and `request`, which load no media library: FFmpeg's libraries may crash, and
then only a child dies.

Reading order: protocol, client, opening, probe; request, window, index, open_range, smart_plan and
copying (what to copy and what to encode); joining, encoders, reading, smart, full_encode, sound,
subtitles, side_tracks, clip_writer, verify, cut.
"""
