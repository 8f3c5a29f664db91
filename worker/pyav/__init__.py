"""Programs that open media with PyAV, each run as its own supervised process.

`python -m worker.pyav.probe SPEC` reports what a file holds, `check` reads a finished clip,
`keyframe` finds where a copy begins, and `cut` makes one frame-exact clip. The worker itself
imports `client`, `protocol` and `request`, which load no media library: FFmpeg's libraries may
crash, and then only a child dies.

Reading order: protocol, client, opening, probe; request, window, index, smart_plan (what to copy
and what to encode); joining, encoders, reading, smart, full_encode, sound, clip_writer, verify,
cut.
"""
