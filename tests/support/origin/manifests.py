"""HLS and DASH folders made with FFmpeg from small videos."""

from __future__ import annotations

from pathlib import Path

from tests.support.media import Video, cached_video, ffmpeg

LADDER = (Video(width=320, height=180), Video(width=192, height=108))


def make_hls(folder: Path, cache: Path, ladder: tuple[Video, ...] = LADDER) -> Path:
    """A master playlist over one media playlist of one-second segments a rung; its path."""
    master = ["#EXTM3U", "#EXT-X-VERSION:3"]
    for rung in ladder:
        place = folder / f"{rung.height}p"
        place.mkdir(parents=True, exist_ok=True)
        _make_media_playlist(cached_video(cache, rung), place)
        size = f"{rung.width}x{rung.height}"
        master += [
            f"#EXT-X-STREAM-INF:BANDWIDTH={rung.height * 5000},RESOLUTION={size},"
            'CODECS="avc1.64001f,mp4a.40.2"',
            f"{rung.height}p/index.m3u8",
        ]
    path = folder / "master.m3u8"
    path.write_text("\n".join(master) + "\n")
    return path


def _make_media_playlist(video: Path, place: Path) -> None:
    split = ["-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"]
    names = ["-hls_segment_filename", str(place / "segment%03d.ts")]
    ffmpeg("-i", str(video), *split, *names, str(place / "index.m3u8"))


def make_dash(folder: Path, cache: Path, ladder: tuple[Video, ...] = LADDER) -> Path:
    """An mpd with a video stream for each rung and one separate audio stream; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs: list[str] = []
    maps: list[str] = []
    for number, rung in enumerate(ladder):
        inputs += ["-i", str(cached_video(cache, rung))]
        maps += ["-map", f"{number}:v"]
    path = folder / "manifest.mpd"
    sets = ["-adaptation_sets", "id=0,streams=v id=1,streams=a"]
    ffmpeg(*inputs, *maps, "-map", "0:a", "-c", "copy", "-f", "dash", *sets, str(path))
    return path
