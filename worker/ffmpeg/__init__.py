"""FFmpeg's command line, its output and its errors; no other folder knows them.

Pure: values in, argument lists out, output lines in, values or errors out. `worker.process` runs
the commands, and `worker.clip` has decided what is to be made. What a caller needs:

- `encode_argv(plan, source, target, texts)` makes a clip of pictures that filters change,
  frame-exact, and draws the texts of an ASS script into them,
  `thumbnail_argv(...)` makes one JPEG, and `remux_argv(...)` moves a file into another container.
- `ProgressParser(plan.seconds, expected_frames(plan)).feed(line)`: `Progress` now and then.
- `failure_of(finished, folder)`: the job error of a finished process, or None. FFmpeg succeeds
  with a range that holds no frame, so the caller has to check the file.

A frame belongs to a clip when `start <= t < end` with half a millisecond of grace, `t` counted from
the container's start time. Time stamps are kept, never resampled, unless `output.fps` asks.

Everything encoded is 8-bit 4:2:0, because that is what every player shows: ten-bit pictures are
dithered down, HDR (PQ, HLG) is tone-mapped to BT.709. Clips that PyAV makes keep both.
Pictures are never enlarged by `contain`; `cover` and `pad` give exactly the asked size. Rotation is
applied to the picture, pixels become square when it is resized. Interlaced H.264 stays interlaced
unless the picture is resized or the container is webm or gif; then it is deinterlaced, one frame
for one frame. All sound tracks are kept where the container may have several, with language and
title; places, chapters and subtitles beside the pictures are not.
"""

from worker.ffmpeg.commands import encode_argv, thumbnail_argv
from worker.ffmpeg.failures import failure_of
from worker.ffmpeg.letters import FONT, missing_letters
from worker.ffmpeg.progress import Progress, ProgressParser
from worker.ffmpeg.remux import remux_argv

__all__ = [
    "FONT",
    "Progress",
    "ProgressParser",
    "encode_argv",
    "failure_of",
    "missing_letters",
    "remux_argv",
    "thumbnail_argv",
]
