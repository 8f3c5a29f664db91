"""The formats and codecs that may be opened at all, and how known containers begin."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The formats that a file may have. Playlists (hls, dash, concat, sdp…) are left out on purpose:
# they name other files and addresses, and a text file called x.mp4 would be read as a playlist.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,wav,w64,aiff,flac,mp3,aac,"
    "ac3,eac3,amr,caf,mxf,ivf,gif,mpegvideo,m4v,h264,hevc,dv,rm,nut,png_pipe,jpeg_pipe,webp_pipe"
)
# The decoders that people's files need. The many codecs of games and screens are left out, since
# most reports of memory corruption are about them.
DECODERS = _names(
    "h264 hevc vp8 vp9 libdav1d av1 mpeg1video mpeg2video mpeg4 msmpeg4v2 msmpeg4 wmv1 wmv2 wmv3 "
    "vc1 h263 h263i flv mjpeg prores dnxhd dvvideo theora ffv1 huffyuv ffvhuff utvideo rawvideo "
    "v210 png gif qtrle cinepak "
    "aac aac_latm mp3float mp3 mp2float mp2 mp1float opus libopus vorbis flac alac ac3 eac3 dca "
    "truehd wmav1 wmav2 wmapro amrnb amrwb libopencore_amrnb libopencore_amrwb adpcm_ms "
    "adpcm_ima_wav adpcm_ima_qt pcm_s8 pcm_u8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le "
    "pcm_s32be pcm_f32le pcm_f32be pcm_f64le pcm_f64be pcm_alaw pcm_mulaw pcm_bluray pcm_dvd "
    "speex gsm"
)
# The decoders of subtitles that are text; others draw pictures, or need a whole screen.
TEXT_DECODERS = _names("srt subrip ass ssa webvtt mov_text text")
# How known containers begin: (offset, bytes). Distinguishes a broken video from a text file.
SIGNATURES = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (4, b"styp"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"RIFF"),
    (0, b"FLV\x01"),
    (0, b"OggS"),
    (0, b"fLaC"),
    (0, b"ID3"),
    (0, b"\x30\x26\xb2\x75"),
    (0, b"\x00\x00\x01\xba"),
    (0, b"\x00\x00\x01\xb3"),
    (0, b"\x06\x0e\x2b\x34"),
    (0, b"GIF8"),
)
