"""What any reading of a stranger's video is bound to: demuxers, protocols and decoders are few and named.

Every input is named as a local file, so a playlist that calls itself MP4 reads nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mayfly.media.limits import Limits

if TYPE_CHECKING:
    from mayfly.media.video.info import VideoInfo

_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif"
_DECODERS = (
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,mpeg2video,mpeg1video,h263,mjpeg,prores,dnxhd,png,gif,"
    "aac,aac_latm,mp3,mp3float,mp2,mp2float,ac3,eac3,alac,flac,opus,vorbis,dca,truehd,"
    "amrnb,amrwb,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_u8,"
    "pcm_s8,pcm_alaw,pcm_mulaw,adpcm_ima_qt,"
    "subrip,srt,webvtt,mov_text,text,ass,ssa,pgssub,dvdsub,dvbsub,cc_dec"
)
_MAX_STREAMS = 16


def reading(limits: Limits, demuxer: str) -> dict[str, Any]:
    """What ffmpeg and ffprobe are given for reading a file of this family of containers, by option."""
    found: dict[str, Any] = {
        "nostdin": None,
        "xerror": None,
        "protocol_whitelist": "file,pipe",
        "format_whitelist": _DEMUXERS,
        "codec_whitelist": _DECODERS,
        "max_streams": _MAX_STREAMS,
        "max_pixels": limits.max_frame_pixels,
        "probesize": 5_000_000,
        "analyzeduration": 5_000_000,
    }
    if "mov" in demuxer:
        found |= {"enable_drefs": 0, "use_absolute_path": 0}
    return found


def input_words(source: Path, info: VideoInfo, limits: Limits, **options: Any) -> list[str]:
    """The words that make a file an input of ffmpeg, with `options` for reading it, whose values are words."""
    given = reading(limits, info.demuxer) | options
    words = [word for key, value in given.items() for word in (f"-{key}", value) if word is not None]
    return [*map(str, words), *(["-noautorotate"] if info.rotation % 90 else []), "-i", f"file:{source}"]
