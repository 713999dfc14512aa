"""Which container holds a result's sound and subtitles without a loss, and in what form; needs no torch."""

from __future__ import annotations

from mayfly.media import sniff
from mayfly.media.video.info import VideoInfo

_MP4_AUDIO = frozenset(["aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "mp2"])
_MOV_AUDIO = _MP4_AUDIO | {"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le"}
_TEXT = frozenset(["mov_text", "subrip", "webvtt", "text"])
# What Matroska holds besides; other kinds, such as teletext, are left out.
_STYLED_OR_DRAWN = frozenset(["ass", "ssa", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"])
# In the order of preference.
MUXERS = {sniff.MP4: "mp4", sniff.MOV: "mov", sniff.MKV: "matroska"}


def holds(container: sniff.Format, info: VideoInfo) -> bool:
    """Whether a result in this container, MP4, MOV or MKV, can hold sound and subtitles without a loss."""
    if container is sniff.MKV:
        return True
    sound = {stream.codec for stream in info.audio}
    if any(stream.codec in _STYLED_OR_DRAWN for stream in info.subtitles):
        return False
    return sound <= (_MP4_AUDIO if container is sniff.MP4 else _MOV_AUDIO)


def subtitles(container: sniff.Format, info: VideoInfo) -> dict[int, str]:
    """The indices of the subtitles to keep, each with its encoder: a container has one way of its own for text."""
    native, plain = (_STYLED_OR_DRAWN | {"subrip", "webvtt"}, "srt")
    if container is not sniff.MKV:
        native, plain = frozenset(["mov_text"]), "mov_text"
    return {
        stream.index: "copy" if stream.codec in native else plain
        for stream in info.subtitles
        if stream.codec in native | _TEXT
    }


def container_for(info: VideoInfo) -> sniff.Format:
    """The first of MP4, MOV and MKV that can hold the source's sound and subtitles without a loss."""
    return next(known for known in MUXERS if holds(known, info))
