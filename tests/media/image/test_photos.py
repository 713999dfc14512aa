"""The photo decoder: what its child may do, and that nothing that it does reaches further than its picture."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from mayfly.media import sniff
from mayfly.media.children import confinement
from mayfly.media.children.confinement import Kind
from mayfly.media.errors import DamagedMedia, MediaTimeout, MediaToolError, TooLarge
from mayfly.media.image import codec, photos
from mayfly.media.limits import Limits

LIMITS = Limits()
OFFERED = confinement.offered()
SECRET = "MAYFLY_DATABASE_URL"


@pytest.fixture
def decoder():
    """A child whose decoder does what the picture says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, "postgresql://name:secret@host/database")
        made = photos.PhotoDecoder("bad_decoder", folders=[Path(__file__).parent], cpu_seconds=2, seconds=60)
        yield made
        made.close()


def ask(decoder, word, limits=LIMITS):
    """What a decoder said that was told to do something."""
    found = decoder.decode(b"\xff\xd8\xff\0" + word.encode(), sniff.JPEG, limits)
    return bytes(found.data[: found.width]).decode()


def test_it_says_what_confines_it(decoder):
    assert decoder.holds is None
    assert ask(decoder, "fine") == "fine"
    assert decoder.holds == OFFERED
    if OFFERED & Kind.CALLS:
        # One filter since its start, and one of its own, which closes what it needed to start.
        lines = Path(f"/proc/{decoder.pid}/status").read_text().splitlines()
        assert [line.split()[1] for line in lines if line.startswith("Seccomp_filters")] in (["2"], [])


def test_it_has_nothing_of_ours(decoder):
    # Some libraries set the one that is taken out.
    names = {*ask(decoder, "environment").split()} - {"LD_LIBRARY_PATH"}
    assert names == {"GLIBC_TUNABLES", "LANG", "LC_ALL", "PATH"}
    running = dict(pair.split("=", 1) for pair in Path(f"/proc/{decoder.pid}/environ").read_text().split("\0") if pair)
    assert not any("MAYFLY" in name for name in running)
    loaded = ask(decoder, "modules").split()
    assert not {name.split(".")[0] for name in loaded} & {"torch", "celery", "sqlalchemy", "numpy", "pydantic"}
    ours = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("mayfly")}
    assert ours == {"mayfly", "mayfly.errors", "mayfly.media"}


@pytest.mark.skipif(not OFFERED, reason="this kernel offers neither Landlock nor seccomp")
def test_it_opens_no_file(decoder, tmp_path):
    (tmp_path / "file").write_text("content")
    for path in (tmp_path / "file", "/etc/hostname", f"/proc/{os.getpid()}/environ", __file__, "/dev/zero"):
        assert ask(decoder, f"open {path}") == "PermissionError"


@pytest.mark.skipif(not OFFERED & Kind.CALLS, reason="this kernel offers no seccomp")
def test_it_has_no_network_and_starts_nothing(decoder):
    assert set(ask(decoder, "socket").split()) == {"PermissionError"}
    assert ask(decoder, "fork") == "PermissionError"
    assert ask(decoder, "execute") == "PermissionError"
    assert ask(decoder, f"signal {os.getpid()}") == "PermissionError"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("crash", DamagedMedia),
        ("loop", MediaTimeout),
        ("bomb", TooLarge),
        ("refuse", DamagedMedia),
        ("fail", DamagedMedia),
        ("lie 0 1 3", DamagedMedia),
        ("lie 201 1 3", DamagedMedia),  # a side over the limit
        ("lie 1 201 3", DamagedMedia),
        ("lie 150 150 3", DamagedMedia),  # more pixels than the limit
        ("lie 1 1 2", DamagedMedia),
        ("lie 1 1 5", DamagedMedia),
        ("short", DamagedMedia),  # fewer bytes than it says
    ],
)
def test_whatever_it_does_the_next_picture_works(decoder, word, kind):
    with pytest.raises(kind) as caught:
        ask(decoder, word, Limits(max_side=200, max_pixels=20_000))
    assert type(caught.value) is kind
    assert ask(decoder, "fine") == "fine"


def test_bytes_that_were_not_announced_reach_no_other_picture(decoder):
    assert ask(decoder, "much") == "x"
    assert ask(decoder, "fine") == "fine"


def test_each_picture_has_a_process_of_its_own(decoder):
    ask(decoder, "fine")
    before = decoder.pid
    with pytest.raises(DamagedMedia):
        ask(decoder, "refuse")
    # What refuses a picture in good order is kept.
    assert decoder.pid == before


def test_a_child_that_was_ended_between_two_pictures_is_replaced(decoder):
    ask(decoder, "fine")
    before = decoder.pid
    os.killpg(before, signal.SIGKILL)
    assert ask(decoder, "fine") == "fine"
    assert decoder.pid != before


def test_one_that_hangs_is_ended():
    made = photos.PhotoDecoder("bad_decoder", folders=[Path(__file__).parent], seconds=1)
    with pytest.raises(MediaTimeout):
        ask(made, "loop")
    assert made.pid is None
    made.close()


def test_one_that_cannot_be_started_is_the_machines_fault():
    made = photos.PhotoDecoder("no_such_decoder")
    with pytest.raises(MediaToolError):
        ask(made, "fine")


def test_closing_leaves_no_process_and_no_pipe(decoder):
    before = len(list(Path("/proc/self/fd").iterdir()))
    ask(decoder, "fine")
    pid = decoder.pid
    family = [pid, *(one.pid for one in psutil.Process(pid).children())]
    decoder.close()
    # The forked one belongs to nobody by now, and is gone as soon as the system looks after it.
    psutil.wait_procs([psutil.Process(one) for one in family if psutil.pid_exists(one)], timeout=20)
    assert not any(psutil.pid_exists(one) and psutil.Process(one).status() != psutil.STATUS_ZOMBIE for one in family)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_largest_pictures_fit_into_its_memory():
    """The kind that takes most: four channels, with a profile that is applied, and turned."""
    from PIL import ImageCms

    limits = Limits(max_pixels=8_000_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = bytes(profile).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    data = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (2000, 4000, 4), np.uint8)
    Image.fromarray(noise, "RGBA").save(data, "PNG", exif=exif, icc_profile=profile, compress_level=0)
    decoded = codec.decode(data.getvalue(), limits)
    assert decoded.rgb.shape == (3, 4000, 2000)


def test_a_picture_that_needs_more_memory_than_allowed(monkeypatch):
    data = io.BytesIO()
    Image.new("RGB", (7000, 7000)).save(data, "PNG")
    made = photos.PhotoDecoder()
    monkeypatch.setattr(photos, "_BYTES_A_PIXEL", 1)
    monkeypatch.setattr(photos, "_BASE_BYTES", 64 * 1024**2)
    try:
        with pytest.raises(TooLarge, match="memory"):
            made.decode(data.getvalue(), sniff.PNG, LIMITS)
        monkeypatch.undo()
        assert made.decode(data.getvalue(), sniff.PNG, LIMITS).width == 7000
    finally:
        made.close()
