"""What an upload is, by its first bytes alone: never by its name, and before any decoder sees it."""

from __future__ import annotations

import dataclasses
from typing import Literal

from mayfly.media.errors import EmptyFile, UnsupportedMedia

HEAD_BYTES = 4096
TAKEN = "send JPEG, PNG, WebP, MP4, MOV, MKV, WebM or GIF"


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that Mayfly takes.

    Attributes:
        name: "JPEG", "PNG", "WEBP", "MP4", "MOV", "MKV", "WEBM" or "GIF"; the first three are Pillow's names.
        kind: "image" or "video"; a GIF is a video, even of one frame.
        suffix: of a file's name, with the dot.
        mime: the media type.
    """

    name: str
    kind: Literal["image", "video"]
    suffix: str
    mime: str


JPEG = Format("JPEG", "image", ".jpg", "image/jpeg")
PNG = Format("PNG", "image", ".png", "image/png")
WEBP = Format("WEBP", "image", ".webp", "image/webp")
MP4 = Format("MP4", "video", ".mp4", "video/mp4")
MOV = Format("MOV", "video", ".mov", "video/quicktime")
MKV = Format("MKV", "video", ".mkv", "video/x-matroska")
WEBM = Format("WEBM", "video", ".webm", "video/webm")
GIF = Format("GIF", "video", ".gif", "image/gif")
NAMED = {known.name: known for known in (JPEG, PNG, WEBP, MP4, MOV, MKV, WEBM, GIF)}

_MP4_BRANDS = frozenset(
    [
        "isom",
        "iso2",
        "iso3",
        "iso4",
        "iso5",
        "iso6",
        "iso7",
        "iso8",
        "iso9",
        "mp41",
        "mp42",
        "mp71",
        "avc1",
        "av01",
        "hvc1",
        "hev1",
        "dash",
        "cmfc",
        "cmfs",
        "msdh",
        "M4V ",
        "M4VP",
        "M4VH",
        "3gp4",
        "3gp5",
        "3gp6",
        "3gp7",
        "3g2a",
        "3g2b",
        "MSNV",
        "XAVC",
        "NDSC",
        "F4V ",
    ]
)
_STILL_BRANDS = frozenset([b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"])
# What a QuickTime file of the time before `ftyp` starts with.
_OLD_QUICKTIME = frozenset([b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"])


def sniff(head: bytes) -> Format:
    """The format of a file that starts with `head`.

    Args:
        head: the file's first HEAD_BYTES bytes, or all of them if it has fewer.

    Raises:
        EmptyFile: there are no bytes.
        UnsupportedMedia: the bytes start no format that is taken; the text says which are.
    """
    if not head:
        raise EmptyFile
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _ebml(head)
    if head[4:8] == b"ftyp":
        return _iso_base_media(head)
    if head[4:8] in _OLD_QUICKTIME:
        return MOV
    raise _refusal(head)


def _iso_base_media(head: bytes) -> Format:
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12]] + [head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4)]
    if brands[0] in _STILL_BRANDS:
        raise UnsupportedMedia("HEIC and AVIF pictures are not taken: send the picture as JPEG, PNG or WebP")
    if brands[0] in (b"M4A ", b"M4B ", b"M4P "):
        raise UnsupportedMedia(f"a sound file holds no picture: {TAKEN}")
    if b"qt  " in brands:
        return MOV
    if _MP4_BRANDS.isdisjoint(brand.decode("latin-1") for brand in brands):
        raise UnsupportedMedia(f"this kind of MP4 is not taken: {TAKEN}")
    return MP4


def _ebml(head: bytes) -> Format:
    # DocType, 0x4282, a size of one byte, then the name.
    at = head.find(b"\x42\x82", 4, 64)
    name = head[at + 3 : at + 3 + (head[at + 2] & 0x7F)] if 0 < at < len(head) - 2 else b""
    match name.rstrip(b"\0"):
        case b"webm":
            return WEBM
        case b"matroska":
            return MKV
    raise UnsupportedMedia(f"the file is not taken: {TAKEN}")


def _refusal(head: bytes) -> UnsupportedMedia:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if text.startswith((b"#extm3u", b"ffconcat")):
        return UnsupportedMedia("a playlist holds no video itself: send the video as MP4, MOV, MKV or WebM")
    if b"<svg" in text:
        return UnsupportedMedia("SVG drawings are not taken: send the picture as JPEG, PNG or WebP")
    return UnsupportedMedia(f"the file is not a picture or video that is taken: {TAKEN}")
