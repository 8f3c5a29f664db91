"""Limits of the kernel for a tool: far above need, far below harm. Pure.

The limits catch a tool that runs away between two checks of the guard, so they are generous: a tool
at its usual work must never reach one. The most private memory of one process that was measured
(VmData in MiB; FFmpeg 9.0.2, H.264 source, 1 / 2 threads), with its peak of resident memory:

                  640x360             1280x720             1920x1080             3840x2160
    mp4 draft     85:47 / 121:49      120:71 / 161:75      160:106 / 209:119     360:282 / 454:329
    mp4 standard  96:57 / 134:62      167:104 / 219:117    252:180 / 325:210     658:548 / 822:652
    mp4 high      104:64 / 141:68     207:128 / 261:141    317:226 / 391:256     860:722 / 1027:825
    webm          143:81              213:149              326:255               921:817
    gif           99:78               108:85               112:99                193:171
    thumbnail     52:37               72:49                86:63                 162:139
    smart cut     32:46 / 82:47       52:62 / 107:68       88:89 / 148:98        240:213 / 332:251
    exact encode  46:61 / 98:62       125:114 / 175:116    215:199 / 279:207     681:622 / -
    copy          15:17               18:35                22:38                 37:52

The part above the resident memory is stacks (8 MiB for each of up to 12 threads), and memory that a
pool has allocated and not touched. yt-dlp takes 96 MiB; `sandbox` has what its JavaScript runtime
needs more.
"""

import math

from config.values import MIB

_DATA_SHARE = 2
_DATA_SPARE_BYTES = 192 * MIB
_DATA_BYTES_OF_A_CORE = 16 * MIB  # FFmpeg starts as many threads for filters as there are cores


def data_bytes(memory_bytes: int, cores: int) -> int:
    """RLIMIT_DATA for each process of a tool that may use `memory_bytes`."""
    return _DATA_SHARE * memory_bytes + _DATA_SPARE_BYTES + cores * _DATA_BYTES_OF_A_CORE


def cpu_seconds(deadline_seconds: float, cores: int) -> int:
    """RLIMIT_CPU for each process of a tool: all cores until its deadline."""
    return math.ceil(deadline_seconds * cores) + 1
