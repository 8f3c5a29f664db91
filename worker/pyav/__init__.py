"""Programs that open media with PyAV, each run as its own supervised process.

`python -m worker.pyav.probe SPEC` says what a file holds; `python -m worker.pyav.cut SPEC`
makes one frame-exact clip. `protocol` is how they are spoken to. Nothing here is imported by the
worker itself except `protocol`: FFmpeg's libraries may crash, and then only a child dies.

Reading order: protocol, opening, probe; request, window, index, plan (what to copy and what to
encode); joining, encoders, reading, smart, whole, sound, output, verify, cut.
"""
