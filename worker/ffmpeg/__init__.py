"""The only place that knows FFmpeg's command line and what it says.

Pure: values in, argument lists out, output lines in, values or errors out; `worker.process` runs
them. What a caller needs:

- `CutPlan`: one clip to make. `encode_argv(plan)` makes it frame-exact with everything encoded,
  `copy_argv(...)` from the keyframe at or before its start with nothing encoded, and
  `thumbnail_argv(...)` makes one JPEG. `can_copy(facts, container)` says whether the streams may
  go into that container as they are.
- `needs_exact_decoder(facts)`: whether `encode_argv` could miss frames of this source, so that
  the PyAV program should make the clip. `lost_frames(plan, frames)` notices it afterwards, and
  `with_longer_preroll(plan)` is what to try then.
- `ProgressParser(plan.seconds, expected_frames(plan)).feed(line)`: `Progress` now and then.
- `failure_of(finished, folder)`: the job error a finished process stands for, or None.
  `refuse_empty(plan, frames)` after it: FFmpeg is content with a range that holds no frame.

A frame belongs to a clip when `start <= t < end` with half a millisecond of grace, `t` counted from
the container's start time. Time stamps are kept, never resampled, unless `output.fps` asks.

Quality, measured on ten seconds of 30 fps H.264 without sound (processor seconds with one thread,
size, luma PSNR against the source):

    H.264 (mp4, mkv)                    1280x720                1920x1080
      draft     ultrafast  crf 26       1.9 s   7.0 MB  42 dB    3.8 s  11.0 MB  43 dB
      standard  superfast  crf 22       3.4 s   5.7 MB  45 dB    6.7 s   9.8 MB  46 dB
      high      fast       crf 18       9.8 s   5.3 MB  48 dB   22.8 s  11.3 MB  47 dB
    VP9 (webm)
      draft     realtime 8 crf 40       3.4 s   2.5 MB  39 dB    7.1 s   4.1 MB  41 dB
      standard  realtime 8 crf 28       3.9 s   6.5 MB  44 dB    8.1 s  10.0 MB  45 dB
      high      realtime 6 crf 20       5.5 s   9.4 MB  47 dB   11.6 s  14.9 MB  48 dB

On strong noise, the hardest picture, `standard` H.264 stays at 38 dB. A second thread costs up to
9 % more processor time.

Everything encoded is 8-bit 4:2:0, because that is what every player shows: ten-bit pictures are
dithered down, HDR (PQ, HLG) is tone-mapped to BT.709. `copy` and `smart` leave them untouched.
Pictures are never enlarged by `contain`; `cover` and `pad` give exactly the asked size. Rotation is
applied to the picture, pixels become square when it is resized. Interlaced H.264 stays interlaced
unless the picture is resized or the container is webm or gif; then it is deinterlaced, one frame
for one frame. The first sound track is kept; titles, places, chapters and subtitles are not.
"""

from worker.clip.plan import (
    CutPlan,
    can_copy,
    expected_frames,
    lost_frames,
    needs_exact_decoder,
    with_longer_preroll,
)
from worker.ffmpeg.commands import copy_argv, encode_argv, thumbnail_argv
from worker.ffmpeg.failures import failure_of, refuse_empty
from worker.ffmpeg.progress import Progress, ProgressParser

__all__ = [
    "CutPlan",
    "Progress",
    "ProgressParser",
    "can_copy",
    "copy_argv",
    "encode_argv",
    "expected_frames",
    "failure_of",
    "lost_frames",
    "needs_exact_decoder",
    "refuse_empty",
    "thumbnail_argv",
    "with_longer_preroll",
]
