"""What a producer asks for, as the table keeps it."""

import contextlib
import datetime
import io

import pytest
from PIL import Image

from benchmarks.effects import PassThrough
from mayfly import Output
from mayfly.client.errors import DeviceEffect, InvalidReference
from mayfly.client.request import MAX_REFERENCE, Wanted
from mayfly.db.states import Retention, Stage
from mayfly.effects import registry
from mayfly.effects.contract import Locality, Media
from mayfly.effects.errors import InvalidParameters, UnknownEffect
from mayfly.media import sniff
from mayfly.media.errors import EmptyFile, ResultTooLarge, TooLarge, WrongKind
from mayfly.media.limits import Limits
from mayfly.purge.policy import Policy
from mayfly.settings import Settings

JPEG = b"\xff\xd8\xff" + bytes(1000)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def _known():
    registry.load(("benchmarks.effects",))


@pytest.fixture
def declared(monkeypatch):
    """Give `pass-through` another declaration."""
    import dataclasses

    def declare(**changes):
        monkeypatch.setattr(PassThrough, "declaration", dataclasses.replace(PassThrough.declaration, **changes))

    return declare


def request(found=sniff.JPEG, content=JPEG, **options):
    wanted = Wanted.check("pass-through", None, **options)
    return wanted.request(found, io.BytesIO(content), len(content), Policy.of(Settings(home="/nowhere")))


@pytest.mark.parametrize("face", [False, True])
def test_an_input_has_an_inputs_term(declared, face):
    declared(face=face)
    made = request()
    assert made.retention is (Retention.FACE_INPUT if face else Retention.INPUT)
    assert (made.due_after, made.deadline_after) == (22 * HOUR, 24 * HOUR)


def test_a_picture_begins_with_its_effect_and_a_video_is_counted_first():
    picture, video = request(sniff.JPEG), request(sniff.MP4)
    assert (picture.media, picture.stage, picture.units_total, picture.suffix) == ("image", Stage.EFFECT, 1, ".jpg")
    assert (video.media, video.stage, video.units_total, video.suffix) == ("video", Stage.INGEST, None, ".mp4")


def test_what_was_asked_for_is_kept():
    wanted = Wanted.check("sleep", {"seconds": "2"}, owner="o", consent="c", key="k", preview=True)
    made = wanted.request(sniff.JPEG, io.BytesIO(JPEG), len(JPEG), Policy.of(Settings(home="/nowhere")))
    assert (made.effect, made.parameters) == ("sleep", {"seconds": 2.0})
    assert (made.owner, made.consent, made.idempotency_key) == ("o", "c", "k")
    assert made.output == {"preview": True}


def test_only_choices_that_were_made_are_kept():
    assert request().output is None
    assert request(output=Output()).output is None
    assert request(output=Output(quality=20)).output == {"video": {"quality": 20}}
    assert request(output=Output(quality=20), preview=True).output == {"video": {"quality": 20}, "preview": True}


def test_a_fingerprint_is_of_everything_that_is_asked_for_and_of_the_key():
    def fingerprint(effect="sleep", params=None, key="k", content=JPEG, **options):
        stream = io.BytesIO(b"before" + content)
        stream.seek(6)
        wanted = Wanted.check(effect, params, key=key, **options)
        made = wanted.request(sniff.JPEG, stream, len(content), Policy.of(Settings(home="/nowhere")))
        assert stream.tell() == 6
        return made.fingerprint

    others = [
        fingerprint("pass-through"),
        fingerprint(params={"seconds": 3}),
        fingerprint(key="l"),
        fingerprint(content=JPEG + b"x"),
        fingerprint(output=Output(quality=20)),
        fingerprint(preview=True),
        fingerprint(),
    ]
    assert len(set(others)) == len(others)
    assert fingerprint() == fingerprint(owner="o", consent="c") == others[-1]
    assert len(others[-1]) == 64
    assert request().fingerprint is None


@pytest.mark.parametrize("name", ["owner", "consent", "key"])
def test_a_reference_fits_its_column(name):
    Wanted.check("pass-through", None, **{name: "x" * MAX_REFERENCE})
    for value in ("", "x" * (MAX_REFERENCE + 1), "a\nb", 5):
        with pytest.raises(InvalidReference, match={"key": "idempotency_key"}.get(name, name)):
            Wanted.check("pass-through", None, **{name: value})


def test_what_is_wrong_with_the_effect(declared):
    with pytest.raises(UnknownEffect):
        Wanted.check("nope", None)
    declared(locality=Locality.DEVICE)
    with pytest.raises(DeviceEffect):
        Wanted.check("pass-through", None)


def test_an_upload_is_looked_at_from_where_it_begins(declared):
    wanted, stream = Wanted.check("pass-through", None), io.BytesIO(b"header" + JPEG)
    stream.seek(6)
    assert wanted.check_upload(stream, len(JPEG), Limits()) is sniff.JPEG
    assert stream.tell() == 6
    with pytest.raises(TooLarge):
        wanted.check_upload(stream, 2**40, Limits())
    with pytest.raises(EmptyFile):
        wanted.check_upload(io.BytesIO(b""), 0, Limits())
    declared(media=frozenset(["video"]))
    with pytest.raises(WrongKind, match="takes no image: send it video"):
        Wanted.check("pass-through", None).check_upload(stream, len(JPEG), Limits())


def test_parameters_may_refuse_a_kind_of_file(monkeypatch):
    wanted, seen = Wanted.check("pass-through", None), []

    def check_media(_, media):
        seen.append(media)
        raise InvalidParameters("no such thing for a picture")

    monkeypatch.setattr(PassThrough.declaration.parameters, "check_media", check_media)
    with pytest.raises(InvalidParameters):
        wanted.check_upload(io.BytesIO(JPEG), len(JPEG), Limits())
    assert seen == [Media.IMAGE]


def test_a_picture_of_which_the_result_would_not_fit_its_format_is_refused(monkeypatch):
    stream = io.BytesIO()
    Image.new("RGB", (700, 8)).save(stream, "JPEG")
    stream.seek(0)
    wanted = Wanted.check("pass-through", None)
    for times, fits in ((93, True), (94, False)):

        def size(_, width, height, times=times):
            return times * width, times * height

        monkeypatch.setattr(wanted.declared.parameters, "result_size", size)
        with contextlib.nullcontext() if fits else pytest.raises(ResultTooLarge, match="JPEG"):
            assert wanted.check_upload(stream, len(stream.getvalue()), Limits()) is sniff.JPEG
    # Nobody need know it before there is a worker.
    monkeypatch.setattr(wanted.declared.parameters, "result_size", lambda *_: None)
    assert wanted.check_upload(stream, len(stream.getvalue()), Limits()) is sniff.JPEG
