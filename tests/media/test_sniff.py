from __future__ import annotations

import io

import pytest
from PIL import Image

from mayfly.media import sniff
from mayfly.media.errors import EmptyFile, UnsupportedMedia
from tests.media import clips


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_pictures(name):
    data = io.BytesIO()
    Image.new("RGB", (3, 2)).save(data, name)
    found = sniff.sniff(data.getvalue())
    assert (found.name, found.kind) == (name, "image")


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mp4", clips.H264),
        (".mov", clips.H264),
        (".mkv", clips.H264),
        (".webm", ("-c:v", "libvpx")),
        (".gif", ("-c:v", "gif")),
    ],
)
def test_videos(tmp_path, suffix, options):
    path = clips.make(tmp_path / f"clip{suffix}", *options, seconds=0.2)
    found = sniff.sniff(path.read_bytes()[: sniff.HEAD_BYTES])
    assert (found.suffix, found.kind) == (suffix, "video")


def test_quicktime_without_a_type():
    assert sniff.sniff(b"\0\0\0\x08wide\0\0\x10\0mdat") is sniff.MOV


def test_nothing():
    with pytest.raises(EmptyFile):
        sniff.sniff(b"")


@pytest.mark.parametrize(
    "head",
    [
        b"\0",
        b"\0" * 4096,
        b"GIF90a" + b"\0" * 20,
        b"BM" + b"\0" * 60,
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"<!DOCTYPE html><html>",
        b'\xef\xbb\xbf <?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
        b"\0\0\0\x14ftypM4A \0\0\0\0isom",
        b"\0\0\0\x14ftypcrx \0\0\0\0isom"[:16],
        b"\xff\xff\xff\xffftyp",
        b"\0\0\0\0ftyp\0\0\0\0",
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\x93\x42\x82\x88other\0\0\0",
        b"\x1a\x45\xdf\xa3\x93\x42\x82",
        b"\xff\xd8",
        b"\x89PNG",
    ],
)
def test_hostile_heads(head):
    with pytest.raises(UnsupportedMedia) as caught:
        sniff.sniff(head)
    assert "send" in str(caught.value)


def test_what_each_format_is_called():
    found = {name: (one.name, one.kind, one.suffix, one.mime) for name, one in sniff.NAMED.items()}
    assert found == {
        "JPEG": ("JPEG", "image", ".jpg", "image/jpeg"),
        "PNG": ("PNG", "image", ".png", "image/png"),
        "WEBP": ("WEBP", "image", ".webp", "image/webp"),
        "MP4": ("MP4", "video", ".mp4", "video/mp4"),
        "MOV": ("MOV", "video", ".mov", "video/quicktime"),
        "MKV": ("MKV", "video", ".mkv", "video/x-matroska"),
        "WEBM": ("WEBM", "video", ".webm", "video/webm"),
        "GIF": ("GIF", "video", ".gif", "image/gif"),
    }


def ftyp(*brands, more=b""):
    """The first box of an MP4, which has its main brand, a version and the compatible brands; and what follows."""
    box = b"ftyp" + brands[0] + b"\0\0\2\0" + b"".join(brands[1:])
    return (len(box) + 4).to_bytes(4, "big") + box + more


@pytest.mark.parametrize(
    "brands",
    [
        "isom iso2 iso3 iso4 iso5 iso6 iso7 iso8 iso9 mp41 mp42 mp71",
        "avc1 av01 hvc1 hev1 dash cmfc cmfs msdh",
        "3gp4 3gp5 3gp6 3gp7 3g2a 3g2b",
        "MSNV XAVC NDSC M4VP M4VH",
    ],
)
def test_brands_of_mp4(brands):
    for brand in [*brands.encode().split(), b"M4V ", b"F4V "]:
        assert sniff.sniff(ftyp(brand)) is sniff.MP4
        # What is not known may be compatible, by its last brand for one.
        assert sniff.sniff(ftyp(b"none", b"nor ", brand)) is sniff.MP4
        with pytest.raises(UnsupportedMedia, match="this kind of MP4"):
            sniff.sniff(ftyp(b"none", more=brand))


def test_quicktime_by_any_of_its_brands():
    assert sniff.sniff(ftyp(b"qt  ")) is sniff.MOV
    assert sniff.sniff(ftyp(b"mp42", b"isom", b"qt  ")) is sniff.MOV
    # What stands in the version's place is none.
    assert sniff.sniff(b"\0\0\0\x14ftypmp42qt  isom") is sniff.MP4


@pytest.mark.parametrize("box", [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"])
def test_quicktime_of_old(box):
    assert sniff.sniff(b"\0\0\0\x08" + box + bytes(20)) is sniff.MOV


@pytest.mark.parametrize("brand", ["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1", "avif", "avis"])
def test_stills_are_refused_by_their_name(brand):
    with pytest.raises(UnsupportedMedia, match="HEIC and AVIF"):
        sniff.sniff(ftyp(brand.encode(), b"isom"))


@pytest.mark.parametrize("brand", [b"M4A ", b"M4B ", b"M4P "])
def test_sound_is_refused_as_sound(brand):
    with pytest.raises(UnsupportedMedia, match="a sound file"):
        sniff.sniff(ftyp(brand, b"isom"))


@pytest.mark.parametrize("size", [0x80, 0])  # a size of one byte has its highest bit set
@pytest.mark.parametrize("padding", [b"", b"\0\0"])
def test_matroska_says_its_name(size, padding):
    for name, wanted in ((b"webm", sniff.WEBM), (b"matroska", sniff.MKV)):
        named = b"\x42\x82" + bytes([size | len(name + padding)]) + name + padding
        for before in (b"\x93", b"\x93\x42\x86\x81\x01\x42\xf7\x81\x01", bytes(60)):
            start = b"\x1a\x45\xdf\xa3" + before + named + b"\x42\x87\x81\x04"
            if len(before) < 60:
                assert sniff.sniff(start) is wanted
            else:
                with pytest.raises(UnsupportedMedia, match="the file is not taken"):
                    sniff.sniff(start)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"#EXTM3U\n", "a playlist"),
        (b"\xef\xbb\xbf \t\r\n#EXTM3U\n", "a playlist"),
        (b"ffconcat version 1.0", "a playlist"),
        (b"<?xml?>" + b" " * 500 + b"<SVG", "SVG drawings"),
        (b"<?xml?>" + b" " * 506 + b"<svg", "not a picture or video"),
        (b"RIFF\0\0\0\0AVI LIST", "not a picture or video"),
    ],
)
def test_what_is_refused_is_named(head, said):
    with pytest.raises(UnsupportedMedia, match=said):
        sniff.sniff(head)


def test_whole_signatures_count():
    for head in (b"\x89PNG\r\n\x1a\r", b"\xff\xd8\xfe", b"RIFFxxxxWEBQ", b"RIFXxxxxWEBP", b"GIF88a"):
        with pytest.raises(UnsupportedMedia):
            sniff.sniff(head)
    assert sniff.sniff(b"GIF87a") is sniff.sniff(b"GIF89a") is sniff.GIF
