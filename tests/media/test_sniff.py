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
