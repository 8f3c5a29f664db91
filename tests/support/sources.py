"""Sources of every form that the cut must handle, made with FFmpeg; none is kept in git.

Four seconds each, small pictures with motion and noise, pink noise as sound (so that any shift
shows in a correlation). `SOURCES` is the table; `make_source` makes one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.media import ffmpeg
from tests.support.shared import made_once

SECONDS = 4
PICTURES = f"testsrc2=s=240x136:r=25:d={SECONDS},noise=alls=6:allf=t"
NOISE = f"anoisesrc=color=pink:seed=7:r=48000:d={SECONDS}:a=0.5"
X264 = "-c:v libx264 -preset veryfast -crf 23 -threads 1 -pix_fmt yuv420p"
AAC = "-c:a aac -b:a 96k -ac 2"
GOP = "-g 25 -keyint_min 25 -sc_threshold 0"


@dataclass(frozen=True)
class Source:
    """How to make one source, and what the cut should do with it."""

    name: str
    suffix: str
    options: str  # FFmpeg's output options
    smart: bool = True  # whether a cut over a keyframe can copy
    pictures: str | None = PICTURES
    sounds: tuple[str, ...] = (NOISE,)
    inputs: str = ""  # options before the first input
    then: str | None = None  # a second step: output options for a stream copy of the first
    then_inputs: str = ""

    @property
    def file_name(self) -> str:
        return self.name.replace(" ", "-") + self.suffix


def _x264(name: str, suffix: str = ".mp4", more: str = "", **others: object) -> Source:
    options = others.pop("options", f"{X264} {GOP} -bf 2 {AAC} {more}")
    return Source(name, suffix, str(options), **others)  # type: ignore[arg-type]


def _other(name: str, suffix: str, video: str, *, smart: bool, audio: str = AAC) -> Source:
    return Source(name, suffix, f"{video} {audio}", smart=smart)


SIZE_FILTER = PICTURES.replace("240x136", "{}")
VFR = f"{PICTURES},select='not(mod(n\\,7)*mod(n\\,5))+mod(n\\,2)',setpts=PTS+mod(N\\,3)*0.004/TB"
HDR = (
    "-vf setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc "
    "-pix_fmt yuv420p10le"
)
MASTERING = (
    "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    ":cll=1000,400"
)

H264_SOURCES = (
    _x264("closed gop"),
    _x264("matroska", ".mkv"),
    _x264("fragmented", ".mp4", "-movflags frag_keyframe+empty_moov"),
    _x264("transport stream", ".ts"),
    _x264("quicktime", ".mov"),
    _x264("flash", ".flv"),
    _x264("avi without b frames", ".avi", "-bf 0"),
    _x264("baseline", more="-bf 0 -profile:v baseline"),
    _x264("b pyramid", more="-bf 5 -refs 4 -b_strategy 0 -x264-params b-pyramid=normal"),
    _x264("b pyramid stream", ".ts", "-bf 7 -refs 5 -x264-params b-pyramid=strict:b-adapt=0"),
    _x264("open gop", more="-x264-params open-gop=1:b-adapt=0", smart=False),
    _x264("open gop stream", ".ts", "-x264-params open-gop=1:b-adapt=0", smart=False),
    _x264("intra refresh", ".ts", "-x264-params intra-refresh=1 -g 20", smart=False),
    _x264("all intra", more="-g 1 -bf 0"),
    _x264("one long gop", more="-g 1000 -keyint_min 1000", smart=False),
    _x264("ten bit", more="-pix_fmt yuv420p10le"),
    _x264("four two two ten bit", ".mkv", "-pix_fmt yuv422p10le"),
    _x264("four four four", more="-pix_fmt yuv444p"),
    _x264("full range", more="-pix_fmt yuvj420p"),
    _x264("interlaced", more="-flags +ilme+ildct -x264-params tff=1", smart=False),
    _x264("interlaced stream", ".ts", "-flags +ilme+ildct -x264-params bff=1", smart=False),
    _x264("variable rate", more="-fps_mode vfr", pictures=VFR),
    _x264("variable rate matroska", ".mkv", "-fps_mode vfr", pictures=VFR),
    _x264("television rate", more="-r 30000/1001"),
    _x264("sixty a second", ".mkv", "-r 60"),
    _x264("slide show", more="-r 2 -g 2 -keyint_min 2"),
    _x264("late start", more="-output_ts_offset 5"),
    _x264("late start matroska", ".mkv", "-output_ts_offset 7.5"),
    _x264("edit list", then="", then_inputs="-ss 0.5"),
    _x264("rotated", then="", then_inputs="-display_rotation 90"),
    _x264("anamorphic", more="-aspect 2.35"),
    _x264("slices", more="-slices 4"),
    _x264("delimited stream", ".ts", "-x264-params aud=1:repeat-headers=1:nal-hrd=none"),
    _x264("highest set id", more="-x264-params sps-id=31"),
    _x264("no audio", sounds=()),
    _x264(
        "two tracks",
        more="-map 0 -map 1 -map 2 -metadata:s:a:1 language=fra",
        sounds=(NOISE, NOISE.replace("seed=7", "seed=9")),
    ),
    _x264("late audio", ".mkv", sounds=(f"{NOISE},adelay=700:all=1,atrim=start=0.7",)),
    _x264("short audio", sounds=(NOISE.replace(f"d={SECONDS}", "d=1.7"),)),
    _x264("odd size", more="-pix_fmt yuv444p", pictures=SIZE_FILTER.format("321x181")),
    _x264("hdr", more=f"{HDR} -x264-params {MASTERING}"),
    _x264("mp3 sound", more="-c:a libmp3lame"),
    _x264("opus sound", ".mkv", "-c:a libopus"),
    _x264("flac sound", ".mkv", "-c:a flac"),
    _x264("vorbis sound", ".mkv", "-c:a libvorbis"),
    _x264("ac3 sound", ".ts", "-c:a ac3"),
    _x264("mp2 sound", ".ts", "-c:a mp2"),
    _x264("pcm sound", ".mov", "-c:a pcm_s16le"),
)
OTHER_SOURCES = (
    _other(
        "hevc",
        ".mp4",
        f"-c:v libx265 -preset ultrafast {GOP} -x265-params log-level=none:open-gop=0 -tag:v hvc1",
        smart=False,
    ),
    _other(
        "hevc open gop",
        ".ts",
        f"-c:v libx265 -preset ultrafast {GOP} -x265-params log-level=none:open-gop=1:bframes=3",
        smart=False,
    ),
    _other(
        "hevc hdr",
        ".mkv",
        f"-c:v libx265 -preset ultrafast {GOP} {HDR} -x265-params "
        f"log-level=none:{MASTERING.replace('cll', 'max-cll').replace('mastering', 'master')}",
        smart=False,
    ),
    _other(
        "vp9",
        ".webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -g 25",
        smart=True,
        audio="-c:a libopus",
    ),
    _other(
        "vp9 alternate references",
        ".webm",
        "-c:v libvpx-vp9 -deadline good -cpu-used 5 "
        "-b:v 600k -g 30 -auto-alt-ref 1 -lag-in-frames 12",
        smart=True,
        audio="-c:a libopus",
    ),
    _other(
        "vp8",
        ".webm",
        "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 25 "
        "-auto-alt-ref 1 -lag-in-frames 10",
        smart=False,
        audio="-c:a libvorbis",
    ),
    Source(
        "av1",
        ".mp4",
        f"-c:v libsvtav1 -preset 12 -crf 35 -g 25 -svtav1-params lp=1 {AAC}",
        pictures=SIZE_FILTER.format("320x180"),
    ),
    _other(
        "mpeg2 stream", ".ts", f"-c:v mpeg2video -b:v 2M -bf 2 {GOP}", smart=False, audio="-c:a mp2"
    ),
    _other(
        "mpeg2 program stream",
        ".mpg",
        f"-c:v mpeg2video -b:v 2M -bf 2 {GOP}",
        smart=False,
        audio="-c:a mp2",
    ),
    _other(
        "mpeg4 avi", ".avi", f"-c:v mpeg4 -q:v 3 -bf 2 {GOP}", smart=False, audio="-c:a libmp3lame"
    ),
    _other("mpeg4", ".mp4", f"-c:v mpeg4 -q:v 3 {GOP}", smart=False),
    _other("prores", ".mov", "-c:v prores_ks -profile:v 1", smart=False, audio="-c:a pcm_s16le"),
    _other("motion jpeg", ".avi", "-c:v mjpeg -q:v 3", smart=False, audio="-c:a pcm_s16le"),
    Source(
        "vp9 odd size",
        ".webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -b:v 800k -c:a libopus",
        pictures=SIZE_FILTER.format("321x181"),
    ),
)
SOURCES = {source.name: source for source in (*H264_SOURCES, *OTHER_SOURCES)}


def make_source(folder: Path, source: Source) -> Path:
    """The source's file, made once in each folder."""
    return made_once(folder / source.file_name, lambda path: _make(path, source))


def _make(path: Path, source: Source) -> None:
    inputs = source.inputs.split()
    if source.pictures is not None:
        inputs += ["-f", "lavfi", "-i", source.pictures]
    for sound in source.sounds:
        inputs += ["-f", "lavfi", "-i", sound]
    first = path.with_name(f"first-{path.name}")
    ffmpeg(*inputs, *source.options.split(), str(first))
    if source.then is not None:
        again = path.with_name(f"then-{path.name}")
        ffmpeg(
            *source.then_inputs.split(),
            "-i",
            str(first),
            "-c",
            "copy",
            *source.then.split(),
            str(again),
        )
        first.unlink()
        first = again
    first.rename(path)
