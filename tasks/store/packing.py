"""Texts of finished jobs, compressed: most of what a store holds is finished, and much alike.

The dictionary has what nearly every text has. It must never change: texts that were packed with it
could not be read any more. Another dictionary would get a mark of its own.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode

_MARK = b"\x01"  # no JSON text begins with it
_DICTIONARY = (
    b'"height": 720, "pix_fmt": "yuv420p", "bit_depth": 8, "fps": 30.0, "rotation": 90, '
    b'"sample_aspect_ratio": "1:1", "interlaced": false, "cover": false, "references": 4, '
    b'"colour": {"primaries": "bt709", "transfer": "bt709", "matrix": "bt709", "range": "tv", '
    b'"hdr": false}, "language": null, "default": true, "sample_rate": 44100, "channels": 2, '
    b'"undecodable": [], "chapters": 0, "subtitles": [], "start_seconds": 0.0, '
    b'"storage_key": "", "filename": "video.mp4", "facts": {"container": '
    b'"mov,mp4,m4a,3gp,3g2,mj2", '
    b'"video": {"codec": "h264", "profile": "High", "width": 1280, "audio": [{"codec": "aac", '
    b'"failed","code":"unavailable","message":"","retryable":false,"detail":{}, '
    b'"info":{"id":"","title":"","description":"","duration_seconds":,"thumbnail":"https://", '
    b'"platform":"generic","uploader":null,"formats":[{"format_id":"","ext":"mp4","video_codec":'
    b'"kind":"extract","source":{"title":"","uploader":null,"duration_seconds":,'
    b'"webpage_url":"https://","extractor":"generic"},"deduplicated":false,"kind":"download",'
    b'"quality":"best","container":null,"role":"main","media_type":"video/mp4","size_bytes":,'
    b'"sha256":"","duration_seconds":15.0,"width":1920,"height":1080,"video_codec":"h264",'
    b'"audio_codec":"aac","url":"/api/v2/artifacts/"}],"warnings":[],"peak_memory_bytes":0,'
    b'"estimated_memory_bytes":0,"memory_ratio":0.9,"mode":"encode","mode_reason":"'
    b'the cut points fall where frames can be copied as they are","mode":"copy","mode":"smart",'
    b'"mode_reason":"only the frames around the cut points are encoded","requested_start":,'
    b'"requested_end":,"actual_start":,"actual_end":,"frames":375,"frames_encoded":0,'
    b'"frames_copied":0,"verification":{"frames_expected":375,"frames_found":375,'
    b'"frames_compared":24,"worst_psnr":null,"audio_offset_ms":0.0,"source_errors":0}},'
    b'{"version": 1, "id": "", "spec": {"source": {"url": "https://"}, "start": 0.0, "end": 15.0, '
    b'"mode": "auto", "output": {"fit": "contain", "quality": "standard", "audio": "keep", '
    b'"subtitles": "keep", "thumbnail": false}}, "owner": "local", "created_at": 17, '
    b'"queued_at": 17, "state": "succeeded", "phase": null, "wait_reason": null, '
    b'"progress": 1.0, "speed": null, "eta_seconds": null, "priority": 5, "attempt": 1, '
    b'"max_attempts": 3, "batch_id": null, "depends_on": [], "fairness_group": null, '
    b'"internal": false, "fingerprint": null, "external_id": null, "metadata": {}, '
    b'"webhook": null, "trace": null, "not_before": null, "memory_floor_bytes": 0, '
    b'"times_bypassed": 0, "publishing": [], "started_at": 17, "finished_at": 17, "result": '
    b'{"artifacts": [{"id": "", "name": ".mp4", "role": "main", "media_type": "video/mp4", '
    b'"size_bytes": , "sha256": "", "duration_seconds": 15.0, "width": 1920, "height": 1080, '
    b'"video_codec": "h264", "audio_codec": "aac"}], "warnings": [], "peak_memory_bytes": , '
    b'"estimated_memory_bytes": , "memory_ratio": 0.9, "mode": "smart", "mode_reason": "", '
    b'"requested_start": , "requested_end": , "actual_start": , "actual_end": , "frames": 375, '
    b'"frames_encoded": , "frames_copied": , "verification": {"frames_expected": 375, '
    b'"frames_found": 375, "frames_compared": 24, "worst_psnr": null, "audio_offset_ms": 0.0, '
    b'"source_errors": 0}}, "error": null, "kind": "clip"}'
    b'{"id":"","kind":"clip","state":"succeeded","phase":null,"wait_reason":null,"progress":1.0,'
    b'"speed":null,"eta_seconds":null,"priority":5,"attempt":1,"max_attempts":3,"batch_id":null,'
    b'"depends_on":null,"external_id":null,"metadata":{},"spec":{"kind":"clip","source":{"url":'
    b'"https://"},"start":0.0,"end":15.0,"mode":"auto","output":{"fit":"contain","quality":'
    b'"standard","audio":"keep","subtitles":"keep","thumbnail":false}},"created_at":"202","'
    b'started_at":"202","finished_at":"202","queue_seconds":0.,"run_seconds":0.,"result":'
    b'{"artifacts":[{"id":"","name":".mp4"],"warnings":[],"error":null,"links":{"self":'
    b'"/api/v2/jobs/","events":"/api/v2/jobs//events","cancel":"/api/v2/jobs//cancel"}}'
)


def packed(text: bytes) -> bytes:
    """The text in a form for the store."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_DICTIONARY)
    return _MARK + packer.compress(text) + packer.flush()


def unpacked(stored: bytes) -> bytes:
    """The text again; one that was not packed is returned as it is."""
    if not stored.startswith(_MARK):
        return stored
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARY).decompress(stored[1:])


def packed_text(text: str) -> str:
    """The same, as text, for a value inside of JSON."""
    return b64encode(packed(text.encode())).decode()


def unpacked_text(stored: bytes) -> bytes:
    """What `packed_text` made; a text in JSON is returned as it is."""
    return stored if stored.startswith(b"{") else unpacked(b64decode(stored))
