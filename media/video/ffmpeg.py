"""The command lines of ffprobe and ffmpeg, built by pure functions, and what a failure of theirs means.

Every input is named as a local file, and demuxers, protocols and decoders are few and named: a playlist that calls
itself MP4 reads nothing.
"""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ffmpeg

from mayfly.media.children.process import Finished, Resources
from mayfly.media.errors import (
    DamagedMedia,
    DiskFull,
    MediaError,
    MediaTimeout,
    MediaToolError,
    TooLarge,
    UnsupportedMedia,
)
from mayfly.media.limits import Limits
from mayfly.media.video import colour, encoders
from mayfly.media.video.encoders import Coding

if TYPE_CHECKING:
    from mayfly.media.video.info import VideoInfo

PROBE_RESOURCES = Resources(memory=2 * 1024**3, cpu_seconds=20, file_bytes=0)

_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif"
_DECODERS = (
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,mpeg2video,mpeg1video,h263,mjpeg,prores,dnxhd,png,gif,"
    "aac,aac_latm,mp3,mp3float,mp2,mp2float,ac3,eac3,alac,flac,opus,vorbis,dca,truehd,"
    "amrnb,amrwb,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_u8,"
    "pcm_s8,pcm_alaw,pcm_mulaw,adpcm_ima_qt,"
    "subrip,srt,webvtt,mov_text,text,ass,ssa,pgssub,dvdsub,dvbsub,cc_dec"
)
_MAX_STREAMS = 16
# QuickTime numbers some languages by their bibliographic codes; ffmpeg's muxer knows no others.
_QUICKTIME_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "swe": "sve"}
_PROBE_ENTRIES = (
    "format=format_name,duration,start_time"
    ":stream=index,codec_type,codec_name,width,height,pix_fmt,bits_per_raw_sample,sample_aspect_ratio,field_order,"
    "color_range,color_space,color_transfer,color_primaries,r_frame_rate,avg_frame_rate,time_base,start_time,duration,"
    "nb_frames"
    ":stream_disposition=attached_pic:stream_tags=language:stream_side_data=rotation"
    ":chapter=time_base,start,end:chapter_tags=title"
)


def probe(source: Path, limits: Limits) -> list[str]:
    """The ffprobe command that prints what the headers say, as JSON."""
    options = {"v": "error", "of": "json", "show_entries": _PROBE_ENTRIES, **_hardening(limits, "mov,matroska")}
    del options["nostdin"], options["xerror"]
    return ["ffprobe", *(word for key, value in options.items() for word in (f"-{key}", str(value))), f"file:{source}"]


def decode(
    source: Path, info: VideoInfo, limits: Limits, timestamps: int, *, depth: int = 8, threads: int = 0
) -> list[str]:
    """The command that writes upright frames as planes G, B, R of 8 or 16 bits to standard output.

    Each frame's timestamp, in units of the source's time base, goes to the file descriptor `timestamps`, which the
    child inherits, as a line `frame:… pts:… pts_time:…` before the frame itself.
    """
    options = _hardening(limits, info.demuxer) | {"copyts": None, "threads": threads}
    if info.rotation % 90:
        options["noautorotate"] = None
    chain = [
        *upright(info, depth),
        f"settb={info.time_base}",
        # The second prints frames that have metadata, the first gives them some.
        "metadata=add:key=mayfly:value=1",
        rf"metadata=print:direct=1:file=pipe\\:{timestamps}",
    ]
    frames = ffmpeg.input(f"file:{source}", **options)[str(info.stream)]
    return _compiled(frames.output("pipe:1", format="rawvideo", vf=",".join(chain), fps_mode="passthrough"))


def encode(
    source: Path,
    target: Path,
    info: VideoInfo,
    limits: Limits,
    *,
    coding: Coding,
    muxer: str,
    subtitles: Mapping[int, str],
    shift: int,
    chapters: int | None = None,
) -> list[str]:
    """The command that reads frames as `mayfly.media.video.matroska` writes them and adds sound and subtitles of the
    source.

    Args:
        source: where the sound is copied from, packet by packet, and the subtitles.
        target: the file to write; an existing one is replaced.
        info: of the source; its colours are the frames'.
        limits: for reading the source.
        coding: the encoder and its options.
        muxer: ffmpeg's name of the container.
        subtitles: the index in the source of each track to keep, and ffmpeg's name of its encoder, or "copy".
        shift: ticks of the source's time base to add to each timestamp.
        chapters: the file descriptor from which the child reads them, by mayfly.media.video.chapters; None: there are
            none.
    """
    frames = ffmpeg.input(
        "pipe:0", nostdin=None, copyts=None, format="matroska", probesize=32, analyzeduration=0, fpsprobesize=0
    )
    chain = colour.from_planes(info, coding.pixels, even=coding.even)
    if moved := shift - round(info.start / info.time_base):
        chain += [f"settb={info.time_base}", f"setpts=PTS{moved:+d}"]
    options = _result(info, muxer, subtitles, chapters, coding.codec) | {
        "vf": ",".join(chain),
        "fps_mode": "passthrough",
        "enc_time_base": info.time_base,
        "c:v": coding.encoder,
        **coding.options,
        "bsf:v": corrected(coding, info),
    }
    streams = [frames["v:0"], *_other_inputs(source, info, limits, subtitles, chapters)]
    return _compiled(ffmpeg.output(*streams, f"file:{target}", **options).overwrite_output())


def _ticks(info: VideoInfo) -> int:
    return max(1, round(1 / info.rate / info.time_base))


def _other_inputs(
    source: Path, info: VideoInfo, limits: Limits, subtitles: Mapping[int, str], chapters: int | None
) -> list[Any]:
    """What is taken of sound and subtitles of the source, and of its chapters, by the clock of the result."""
    clock = {"itsoffset": f"{-float(info.start):.6f}"} if info.start else {}
    taken = []
    if info.audio or subtitles:
        others = ffmpeg.input(f"file:{source}", **_hardening(limits, info.demuxer), **clock)
        taken = [others[str(index)] for index in [stream.index for stream in info.audio] + [*subtitles]]
    if chapters is not None:
        kept = ffmpeg.input(f"pipe:{chapters}", format="ffmetadata", protocol_whitelist="pipe", **clock)
        # An input is one only if something is taken from it; the question mark allows that there is nothing.
        taken.append(kept["v:99?"])
    return taken


def _result(
    info: VideoInfo, muxer: str, subtitles: Mapping[int, str], chapters: int | None, codec: str
) -> dict[str, Any]:
    """The options of a result's container, and of all tracks but the video's."""
    options: dict[str, Any] = {
        "format": muxer,
        # Else ffmpeg names the encoder.
        "metadata:s:v": "encoder=mayfly",
        "c:a": "copy",
        "map_metadata:g": -1,
        "map_metadata:s": -1,
        # The last of the inputs.
        "map_chapters": -1 if chapters is None else 1 + bool(info.audio or subtitles),
        "fflags": "+bitexact",
        "max_muxing_queue_size": 4096,
    }
    languages = {stream.index: stream.language for stream in (*info.audio, *info.subtitles)}
    if muxer == "mov":
        languages = {index: _QUICKTIME_LANGUAGES.get(name, name) for index, name in languages.items()}
    options |= {f"metadata:s:a:{n}": f"language={languages[stream.index]}" for n, stream in enumerate(info.audio)}
    options |= {f"metadata:s:s:{n}": f"language={languages[index]}" for n, index in enumerate(subtitles)}
    options |= {f"c:s:{n}": encoder for n, encoder in enumerate(subtitles.values())}
    if codec == "hevc" and muxer != "matroska":
        # Apple's players take HEVC under no other tag.
        options["tag:v"] = "hvc1"
    if muxer != "matroska":
        options |= {"video_track_timescale": info.time_base.denominator, "movflags": "+faststart"}
    return options


def packets(source: Path, info: VideoInfo, limits: Limits) -> list[str]:
    """The ffprobe command that prints timestamp and flags of each packet of the video, in the order of decoding."""
    options = {"v": "error", "of": "csv=p=0", "show_entries": "packet=pts,flags", **_hardening(limits, info.demuxer)}
    del options["nostdin"], options["xerror"]
    words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
    return ["ffprobe", *words, "-select_streams", str(info.stream), f"file:{source}"]


def cut(
    source: Path, target: Path, info: VideoInfo, limits: Limits, *, start: Fraction | None, stop: Fraction | None
) -> list[str]:
    """The command that copies a piece of the video, packet by packet, with the timestamps and tags of the source.

    Args:
        source: the video.
        target: the file to write, of the source's family of containers.
        info: of the source.
        limits: for reading the source.
        start: seconds; the copy begins with the keyframe that is shown then, or with one before. None: the beginning.
        stop: seconds; everything that is shown before it is copied, and some that is not. None: the end.
    """
    options = _hardening(limits, info.demuxer) | {"copyts": None}
    if start is not None:
        options |= {"seek_timestamp": 1, "ss": f"{math.ceil(start * 1_000_000)}us"}
    copied: dict[str, Any] = {"c": "copy", "map_metadata": -1, "map_chapters": -1}
    if stop is not None:
        copied["to"] = f"{math.ceil(stop * 1_000_000)}us"
    if info.demuxer == "mov":
        # Both clocks at the track's rate: an edit list in milliseconds would move the first frame.
        ticks = info.time_base.denominator
        copied |= {"format": "mov", "video_track_timescale": ticks, "movie_timescale": ticks}
    else:
        # Matroska has no decoding times, and the guess after a seek may go backwards; any order does.
        copied |= {"format": "matroska", "bsf:v": "setts=pts=PTS:dts=N-1e9", "avoid_negative_ts": "disabled"}
    frames = ffmpeg.input(f"file:{source}", **options)[str(info.stream)]
    return _compiled(frames.output(f"file:{target}", **copied).overwrite_output())


def join(
    parts: Path,
    source: Path,
    target: Path,
    info: VideoInfo,
    limits: Limits,
    *,
    muxer: str,
    subtitles: Mapping[int, str],
    chapters: int | None,
    codec: str,
    first: int,
) -> list[str]:
    """The command that joins encoded parts, packet by packet, and adds sound and subtitles of the source.

    Args:
        parts: a script of ffmpeg's concat demuxer; its first file begins at 0.
        source: where sound and subtitles are.
        target: the file to write; an existing one is replaced.
        info: of the source.
        limits: for reading the source.
        muxer: ffmpeg's name of the container.
        subtitles: as `encode`.
        chapters: as `encode`.
        codec: of the parts.
        first: the first frame's timestamp in ticks of the source's time base.
    """
    begin = first - round(info.start / info.time_base)
    frames = ffmpeg.input(
        f"file:{parts}", nostdin=None, xerror=None, copyts=None, format="concat", safe=0, protocol_whitelist="file"
    )
    # An encoder's first packets have decoding times before their first frame's, which may cross the last of the part
    # before when the distance of frames varies.
    decoding = f"max(DTS+{begin}\\,PREV_OUTDTS+1)"
    options = _result(info, muxer, subtitles, chapters, codec) | {
        "c:v": "copy",
        "bsf:v": f"setts=pts=PTS+{begin}:dts={decoding}:duration={_ticks(info)}",
    }
    streams = [frames["v:0"], *_other_inputs(source, info, limits, subtitles, chapters)]
    return _compiled(ffmpeg.output(*streams, f"file:{target}", **options).overwrite_output())


def input_words(source: Path, info: VideoInfo, limits: Limits, **options: Any) -> list[str]:
    """The words that make a file an input of ffmpeg, with `options` for reading it, whose values are words."""
    options = _hardening(limits, info.demuxer) | options
    words = [word for key, value in options.items() for word in (f"-{key}", value) if word is not None]
    return [*map(str, words), *(["-noautorotate"] if info.rotation % 90 else []), "-i", f"file:{source}"]


def corrected(coding: Coding, info: VideoInfo) -> str:
    """The bitstream filters of an encoded stream; without a duration of its last frame, players do not show it."""
    filters = encoders.bitstream_filters(coding.codec, info.rate)
    return ",".join([*filters, f"setts=pts=PTS:dts=DTS:duration={_ticks(info)}"])


def upright(info: VideoInfo, depth: int) -> list[str]:
    """The filters that make whole, upright planes of RGB with 8 or 16 bits out of what was decoded."""
    whole = ["bwdif=mode=send_frame:deint=interlaced"] if info.interlaced else []
    return whole + colour.to_planes(info, depth)


def failure(code: int, last_lines: Sequence[str]) -> MediaError:
    """What a child that reads an upload and ended with a code other than 0 says about the upload.

    The answer is one of our own sentences: nothing of standard error is passed on.
    """
    text = "\n".join(last_lines)
    if re.search("No space left|Disk quota|Input/output error|Too many open files|Resource temporarily", text):
        return MediaToolError()
    if code == -signal.SIGKILL:
        return MediaToolError("the media tools were ended from outside: try again")
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return MediaTimeout()
    if "not on whitelist" in text:
        return UnsupportedMedia("a track is coded in a way that is not taken: send H.264 and AAC in MP4")
    if "exceeds specified max pixel count" in text or re.search("[Pp]icture size .* is invalid", text):
        return TooLarge("the frames are too large: send a smaller video")
    if "Cannot allocate memory" in text:
        return TooLarge("reading the file needs more memory than allowed: send a smaller one")
    return DamagedMedia()


def encoder_failure(code: int, last_lines: Sequence[str]) -> MediaError:
    """What a failed encoder says: it reads the upload for its sound, else the fault is not the upload's."""
    if code > 0 and re.search("Invalid data found|partial file|invalid, broken", "\n".join(last_lines)):
        return DamagedMedia()
    if code == -signal.SIGXFSZ or re.search("No space left|Disk quota|File too large", "\n".join(last_lines)):
        return DiskFull()
    return MediaToolError()


def check(finished: Finished) -> bytes:
    """The output of a child that has read an upload. Raises what `failure` says."""
    if finished.code:
        raise failure(finished.code, finished.last_lines)
    return finished.stdout


def _hardening(limits: Limits, demuxer: str) -> dict[str, Any]:
    options: dict[str, Any] = {
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
        options |= {"enable_drefs": 0, "use_absolute_path": 0}
    return options


def _compiled(output: Any) -> list[str]:
    # ffmpeg-python writes a path's percent signs as they are, which is right after `file:`, but not in a pattern muxer.
    command: list[str] = ffmpeg.compile(output, cmd=["ffmpeg", "-hide_banner", "-v", "error"])
    return command


def rational(text: str | None, default: Fraction) -> Fraction:
    """Read ffprobe's `30000/1001` or `16:9`; the default where it is missing or 0."""
    match = re.fullmatch(r"(\d+)[/:](\d+)", text or "")
    if match is None or 0 in (int(match[1]), int(match[2])):
        return default
    return Fraction(int(match[1]), int(match[2]))
