"""What a file says about its maker, place and time is stored nowhere: result, database, bucket, logs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from PIL import ExifTags, Image

from tests.integration.stage import Stage

SECRETS = (
    "Garmisch-Secret-Place",
    "Erika-Secret-Artist",
    "Secret-Comment-4711",
    "Secret-Title-0815",
    "47.4917",
    "+47.49",
)
NAME = "Erika-in-Garmisch-2024-08-17"


def telling_photo(source: Path, target: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Erika-Secret-Artist"
    exif[ExifTags.Base.ImageDescription] = "Garmisch-Secret-Place"
    exif[ExifTags.Base.DateTime] = "2024:08:17 11:12:13"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef] = "N"
    gps[ExifTags.GPS.GPSLatitude] = (47.0, 29.0, 30.0)
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>Garmisch-Secret-Place</x:xmpmeta>"
    Image.open(source).save(target, exif=exif, comment=b"Secret-Comment-4711", xmp=xmp, quality=92)


def telling_video(source: Path, target: Path) -> None:
    tags = ["title=Secret-Title-0815", "artist=Erika-Secret-Artist", "location=+47.4917+011.0955/"]
    tags += ["comment=Secret-Comment-4711", "creation_time=2024-08-17T11:12:13Z"]
    given = [part for tag in tags for part in ("-metadata", tag)]
    streams = ["-metadata:s:v", "title=Garmisch-Secret-Place", "-metadata:s:a", "title=Garmisch-Secret-Place"]
    command = ["ffmpeg", "-v", "error", "-i", str(source), "-c", "copy", "-movflags", "use_metadata_tags"]
    subprocess.run([*command, *given, *streams, str(target)], check=True, timeout=60)


def test_nothing_but_pixels_and_sound_survives(busy: Stage, photo: Path, clip: Path, tmp_path: Path):
    pictures = tmp_path / f"{NAME}.jpg", tmp_path / f"{NAME}.mp4"
    telling_photo(photo, pictures[0])
    telling_video(clip, pictures[1])
    for path, marks in zip(pictures, ((b"Artist", b"Place", b"4711"), (b"Artist", b"Title", b"47.49")), strict=True):
        content = path.read_bytes()
        assert all(mark in content for mark in marks), "the test's own file tells nothing"

    for path in pictures:
        job = busy.submit("pass-through", path, "--out", tmp_path / "results")
        assert job["state"] == "done"
        (key,) = busy.objects(job["job"])
        stored = busy.store.read(key)
        assert stored == Path(job["result"]).read_bytes()
        assert not [word for word in (*SECRETS, NAME, "Exif", "xmpmeta", "2024") if word.encode() in stored]
        if path.suffix == ".jpg":
            with Image.open(job["result"]) as picture:
                assert not picture.getexif() and not {"exif", "xmp", "comment"} & picture.info.keys()
        else:
            command = ["ffprobe", "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json"]
            tags = subprocess.run([*command, job["result"]], capture_output=True, text=True, check=True, timeout=60)
            assert not [word for word in (*SECRETS, "creation_time", "location") if word in tags.stdout]

    elsewhere = [busy.dump(), *busy.objects(), *(process.text for process in busy.processes)]
    for word in (*SECRETS, NAME, "Erika"):
        assert not [text for text in elsewhere if word in text], word
