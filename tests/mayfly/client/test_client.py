"""The client on the embedded set-up: what it refuses before anything is stored, and a job's whole way."""

import dataclasses
import datetime
import io
import json
import subprocess
import threading
import time
import uuid

import pytest
import sqlalchemy as sa
from PIL import Image

from mayfly import Client, Output, Settings
from mayfly.client.errors import DeviceEffect, InvalidSource, InvalidTarget, JobFailed, PartlySubmitted, WaitTimeout
from mayfly.db.errors import NotReady, ResultGone, UnknownJob
from mayfly.db.states import AssetState, Retention, State
from mayfly.db.tables import ASSETS, JOBS
from mayfly.effects.contract import Locality
from mayfly.effects.errors import InvalidParameters, UnknownEffect
from mayfly.errors import MayflyError
from mayfly.media.errors import EmptyFile, ResultTooLarge, TooLarge, UnsupportedMedia, WrongKind
from mayfly.workers.embedded import Embedded
from tests.media.clips import streams


@pytest.fixture
def client(embedded):
    with Client(embedded) as opened:
        yield opened


@pytest.fixture(scope="module")
def working(tmp_path_factory):
    """A client whose jobs are done: the embedded worker runs in this process."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with Embedded(settings), Client(settings) as opened:
        yield opened


def stored(client):
    """Rows of jobs and of assets, and objects in the store."""
    with client._engine.connect() as connection:
        rows = [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() for table in (JOBS, ASSETS)]
    return (*rows, len(list(client._store.objects())))


def states(client, job):
    """The states of a job's assets; a moment after the job's end, when the worker has destroyed what is due."""
    end = time.monotonic() + 30
    while True:
        found = [(asset.retention.value, asset.state.value) for asset in client.assets(job)]
        if ("input", "destroyed") in found or time.monotonic() > end:
            return found
        time.sleep(0.01)


class Bytes(io.RawIOBase):
    """A picture by its first bytes, of a size that nobody has; what is behind the first bytes must not be read."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset if whence == 0 else self.size + offset
        return self.at

    def read(self, size=-1):
        assert self.at + size < 100_000
        self.at += size
        return b"\xff\xd8\xff".ljust(size, b"x")


def picture(name, size):
    data = io.BytesIO()
    Image.new("L", size).save(data, name)
    return data.getvalue()


@pytest.mark.parametrize(
    ("error", "effect", "params", "source"),
    [
        (UnknownEffect, "nope", {}, "photo"),
        (UnknownEffect, "", {}, "photo"),
        (InvalidParameters, "enhance", {"scale": 3}, "photo"),
        (InvalidParameters, "enhance", {"zoom": 3}, "photo"),
        (InvalidParameters, "sleep", {"seconds": "lengthy"}, "photo"),
        (InvalidParameters, "sleep", {"seconds": float("nan")}, "photo"),
        (EmptyFile, "anime", {}, b""),
        (UnsupportedMedia, "anime", {}, b"hello, I am a text"),
        (UnsupportedMedia, "anime", {}, b"#EXTM3U\n"),
        (TooLarge, "anime", {}, Bytes(3 * 1024**3)),
        (TooLarge, "anime", {}, picture("PNG", (16_385, 1))),
        (ResultTooLarge, "enhance", {"scale": 4}, picture("WEBP", (4_096, 1))),
        (ResultTooLarge, "enhance", {"scale": 4}, picture("JPEG", (16_380, 1))),
        (ResultTooLarge, "enhance", {"scale": 4}, picture("PNG", (5_000, 5_000))),
        (InvalidSource, "anime", {}, "/nowhere/anna.jpg"),
        (InvalidSource, "anime", {}, "/nowhere/anna\0.jpg"),
        (InvalidSource, "anime", {}, object()),
        (InvalidSource, "anime", {}, io.StringIO("a text, not bytes")),
    ],
)
def test_what_is_refused_leaves_nothing(client, photo, error, effect, params, source):
    with pytest.raises(error) as raised:
        client.submit(photo if source == "photo" else source, effect, params)
    assert raised.value.code == error.code
    assert "anna" not in str(raised.value) and "lengthy" not in str(raised.value)
    assert stored(client) == (0, 0, 0)


@pytest.fixture
def registered(monkeypatch):
    """Give `pass-through` another declaration."""

    from benchmarks.effects import PassThrough

    def declare(**changes):
        monkeypatch.setattr(PassThrough, "declaration", dataclasses.replace(PassThrough.declaration, **changes))

    return declare


def test_the_wrong_kind_is_refused(client, photo, clip, registered):
    registered(media=frozenset(["video"]))
    with pytest.raises(WrongKind):
        client.submit(photo, "pass-through")
    registered(media=frozenset(["image"]))
    with pytest.raises(WrongKind):
        client.submit(clip, "pass-through")
    assert stored(client) == (0, 0, 0)


def test_parameters_that_do_not_go_with_a_video_are_refused(client, clip):
    with pytest.raises(InvalidParameters, match="flicker"):
        client.submit(clip, "fashion", {"prompt": "a red coat", "model": "painter"})
    with pytest.raises(InvalidParameters, match="flicker"):
        client.submit_many([clip], "fashion", {"prompt": "a red coat", "model": "painter"})
    assert stored(client) == (0, 0, 0)


def test_a_device_effect_takes_no_upload(client, photo, registered):
    registered(locality=Locality.DEVICE)
    with pytest.raises(DeviceEffect):
        client.submit(photo, "pass-through")
    assert stored(client) == (0, 0, 0)


def test_a_face_gets_the_strictest_class(client, photo, registered):
    registered(face=True)
    (asset,) = client.assets(client.submit(photo, "pass-through"))
    assert asset.retention == "face_input"


def test_all_are_checked_before_the_first_is_stored(client, photo):
    with pytest.raises(UnsupportedMedia, match=r"^2 of 3: ") as raised:
        client.submit_many([photo, b"not a picture", photo], "pass-through")
    assert raised.value.code == "unsupported_media"
    with pytest.raises(InvalidParameters):
        client.submit_many([photo, photo], "sleep", {"seconds": -1})
    assert stored(client) == (0, 0, 0)


class Fragile(io.BytesIO):
    """A picture that can be looked at, but whose bytes end in an error when they are stored."""

    def read(self, size=-1):
        if self.tell() > 5_000_000:
            raise OSError("gone")
        return super().read(size)

    @classmethod
    def make(cls):
        return cls(b"\xff\xd8\xff" + bytes(8_000_000))


def test_what_was_queued_before_another_upload_failed_is_told_and_sent(client, photo, monkeypatch):
    sent = []
    monkeypatch.setattr("mayfly.client.many.UPLOADS", 1)
    monkeypatch.setattr(client, "_send", lambda rows: sent.extend(str(row.id) for row in rows))
    with pytest.raises(PartlySubmitted, match=r"^3 of 5: .*2 others") as raised:
        client.submit_many([photo, photo, Fragile.make(), photo, photo], "pass-through")
    assert (raised.value.code, raised.value.position) == ("invalid_source", 3)
    assert isinstance(raised.value.__cause__, InvalidSource)
    told = [job.id for job in raised.value.submitted]
    assert len(told) == 2
    assert sorted(sent) == sorted(told) == sorted(job.id for job in client.jobs() if job.state is State.QUEUED)


def test_uploads_that_run_when_another_fails_are_told_too(client, photo, monkeypatch):
    failed, queue = threading.Event(), client._queue
    fragile = Fragile.make()

    def queue_slowly(wanted, source, end):
        # Whatever has begun beside it goes on, and nothing else begins.
        if source is not fragile:
            assert failed.wait(20)
        try:
            return queue(wanted, source, end)
        except InvalidSource:
            failed.set()
            raise

    monkeypatch.setattr(client, "_queue", queue_slowly)
    with pytest.raises(PartlySubmitted) as raised:
        client.submit_many([photo, fragile, *[photo] * 40], "pass-through")
    queued = [job.id for job in client.jobs() if job.state is State.QUEUED]
    assert sorted(job.id for job in raised.value.submitted) == sorted(queued)
    assert 1 <= len(queued) < 40


def test_where_nothing_is_queued_the_error_itself_is_raised(client):
    with pytest.raises(InvalidSource):
        client.submit_many([Fragile.make()], "pass-through")
    assert [job.state for job in client.jobs()] == [State.FAILED]


def test_many_messages_are_noted_together(client, photo, monkeypatch):
    sent = []
    monkeypatch.setattr("mayfly.client.many.SEND_SECONDS", 60)
    monkeypatch.setattr(client, "_send", lambda rows: sent.append([str(row.id) for row in rows]))
    jobs = client.submit_many([photo.read_bytes()] * 19, "pass-through")
    assert [len(rows) for rows in sent] == [8, 8, 3]
    assert sorted(row for rows in sent for row in rows) == sorted(job.id for job in jobs)


def test_a_submit_stores_the_upload_and_no_name(client, photo):
    job = client.submit(photo, "sleep", {"seconds": "0.5"}, owner="o-1", consent="c-1")
    assert (job.state, job.effect, job.media, job.units_done, job.progress) == (State.QUEUED, "sleep", "image", 0, 0.0)
    assert stored(client) == (1, 1, 1)
    (entry,) = client._store.objects()
    assert client._store.read(entry.key) == photo.read_bytes()
    (asset,) = client.assets(job)
    assert (asset.state, asset.size, asset.suffix) == (AssetState.STORED, photo.stat().st_size, ".jpg")
    with client._engine.connect() as connection:
        row = connection.execute(sa.select(JOBS)).mappings().one()
        rows = [dict(row), dict(connection.execute(sa.select(ASSETS)).mappings().one())]
    assert (row["owner"], row["consent"], row["parameters"]) == ("o-1", "c-1", {"seconds": 0.5})
    assert "portrait" not in json.dumps(rows, default=str)


@pytest.mark.parametrize("source", ["path", "string", "bytes", "stream", "stream in the middle"])
def test_sources(client, photo, source):
    content = photo.read_bytes()
    middle = io.BytesIO(b"header" + content)
    middle.seek(6)
    sources = {"path": photo, "string": str(photo), "bytes": content, "stream": io.BytesIO(content)}
    job = client.submit(sources.get(source, middle), "pass-through")
    assert client._store.read(client.assets(job)[0].key) == content


def test_the_same_key_is_the_same_job(client, photo):
    first = client.submit(photo, "pass-through", idempotency_key="k")
    assert client.submit(photo, "pass-through", idempotency_key="k") == first
    assert client.submit(photo, "pass-through", idempotency_key="k2").id != first.id
    assert stored(client) == (2, 2, 2)


def test_an_upload_that_fails_leaves_a_failed_job_and_no_bytes(client):
    with pytest.raises(InvalidSource):
        client.submit(Fragile.make(), "pass-through")
    (job,) = client.jobs()
    assert (job.state, job.error) == (State.FAILED, "invalid_source")
    assert [receipt.retention for receipt in client.receipts(job)] == ["input"]
    assert list(client._store.objects()) == []


def test_a_source_that_shrinks_is_told_so_and_one_that_grows_is_what_it_was(client, photo, tmp_path):
    class Shrinking(io.BytesIO):
        def read(self, size=-1):
            return b"" if self.tell() > 5_000_000 else super().read(size)

    with pytest.raises(InvalidSource, match="shorter"):
        client.submit(Shrinking(b"\xff\xd8\xff" + bytes(8_000_000)), "pass-through")
    content = photo.read_bytes()

    class Growing(io.BytesIO):
        def seek(self, offset, whence=0):
            return len(content) if whence == io.SEEK_END else super().seek(offset, whence)

    job = client.submit(Growing(content + b"more"), "pass-through")
    assert client._store.read(client.assets(job)[0].key) == content


def test_an_interrupted_upload_leaves_no_bytes(client):
    class Interrupted(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 5_000_000:
                raise KeyboardInterrupt
            return super().read(size)

    with pytest.raises(KeyboardInterrupt):
        client.submit(Interrupted(b"\xff\xd8\xff" + bytes(8_000_000)), "pass-through")
    (job,) = client.jobs()
    assert (job.state, job.error) == (State.FAILED, "upload_abandoned")
    assert list(client._store.objects()) == []


@pytest.mark.parametrize("job", ["no id", "", "0b5e3c0a-9f0e-4c2b-8d53-1f4c6f2b7a10", uuid.uuid4(), 4711, None])
def test_unknown_jobs(client, job):
    for call in (client.status, client.cancel, client.wait, lambda one: client.result(one, io.BytesIO())):
        with pytest.raises(UnknownJob) as raised:
            call(job)
        assert raised.value.code == "unknown_job"


def test_cancelling_destroys_the_upload(client, photo):
    job = client.submit(photo, "pass-through", owner="o-1")
    assert client.cancel(job).state is State.CANCELLED
    assert stored(client) == (1, 1, 0)
    assert len(client.receipts(job)) == 1
    with client._engine.connect() as connection:
        assert connection.execute(sa.select(JOBS.c.owner)).scalar() is None
    with pytest.raises(JobFailed) as raised:
        client.result(job, io.BytesIO())
    assert raised.value.code == "cancelled"
    assert client.cancel(job).state is State.CANCELLED


def test_jobs_come_by_pages(client, photo):
    submitted = [client.submit(photo, "pass-through", owner=f"o-{number % 2}") for number in range(5)]
    assert [job.owner for job in submitted] == ["o-0", "o-1"] * 2 + ["o-0"]
    assert "o-0" not in repr(submitted)
    first = client.jobs(limit=2)
    assert first == submitted[4:2:-1]
    for last in (first[-1], first[-1].id):
        assert client.jobs(limit=2, after=last) == submitted[2:0:-1]
    client.cancel(submitted[0])
    assert client.jobs(owner="o-0") == [submitted[4], submitted[2]]
    assert [job.id for job in client.jobs(state="cancelled")] == [submitted[0].id]
    assert client.jobs(state=State.QUEUED, owner="o-1", after=submitted[3]) == [submitted[1]]
    keyed = client.submit(photo, "pass-through", owner="o-1", idempotency_key="k")
    assert (client.jobs(owner="o-1", key="k"), client.jobs(key="k")) == ([keyed], [])


def test_waiting_has_an_end(client, photo, tmp_path):
    job = client.submit(photo, "pass-through")
    with pytest.raises(WaitTimeout):
        client.wait(job, timeout=0.1)
    with pytest.raises(NotReady):
        client.result(job, tmp_path / "x.jpg")
    assert list(tmp_path.glob("*.jpg")) == []
    assert next(client.watch(job)) == job


def test_a_photo_all_the_way(working, photo, tmp_path):
    job = working.submit(photo, "pass-through", owner="o-1")
    seen = list(working.watch(job, timeout=60))
    assert seen[-1].state is State.DONE
    assert (seen[-1].progress, seen[-1].units_done, seen[-1].units_total) == (1.0, 1, 1)
    assert len(set(seen)) == len(seen)
    target = tmp_path / f"result{working.result_suffix(job)}"
    working.result(job, target)
    stream = io.BytesIO()
    working.result(job.id, stream)
    assert stream.getvalue() == target.read_bytes()
    with Image.open(target) as result, Image.open(photo) as source:
        assert (result.format, result.size) == (source.format, source.size)
        difference = [
            abs(a - b) for a, b in zip(result.resize((8, 8)).tobytes(), source.resize((8, 8)).tobytes(), strict=True)
        ]
        assert max(difference) <= 4
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert states(working, job) == [("input", "destroyed"), ("result", "stored")]
    assert [receipt.retention for receipt in working.receipts(job)] == ["input"]
    assert working.cancel(job).state is State.DONE


def test_a_video_all_the_way(working, clip, tmp_path):
    job = working.wait(working.submit(clip, "pass-through"), timeout=120)
    assert (job.state, job.media, job.units_done, job.units_total) == (State.DONE, "video", 50, 50)
    working.result(job, tmp_path / "result.mp4")
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_type,nb_read_frames"]
    command += ["-of", "json", str(tmp_path / "result.mp4")]
    streams = json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)["streams"]
    assert {stream["codec_type"]: stream["nb_read_frames"] for stream in streams}["video"] == "50"
    assert {stream["codec_type"] for stream in streams} == {"video", "audio"}


def test_previews_of_a_photo(working, photo, tmp_path):
    job = working.wait(working.submit(photo, "anime", preview=True), timeout=120)
    (found,) = working.previews(job, tmp_path)
    with Image.open(photo) as source, Image.open(found) as both:
        assert both.format == "JPEG"
        assert both.width > 1.8 * source.width * both.height / source.height
        # The left half is the source.
        left = both.crop((0, 0, both.width // 2 - 4, both.height)).convert("RGB").resize((16, 16))
        expected = source.convert("RGB").resize((16, 16))
        pairs = zip(left.get_flattened_data(), expected.get_flattened_data(), strict=True)
        assert max(abs(a - b) for one, two in pairs for a, b in zip(one, two, strict=True)) < 40
    kept = {asset.retention: asset.deadline_at for asset in working.assets(job) if asset.state is AssetState.STORED}
    assert set(kept) == {Retention.RESULT, Retention.PREVIEW}
    assert abs(kept[Retention.RESULT] - kept[Retention.PREVIEW]) < datetime.timedelta(minutes=5)


def test_previews_and_codec_of_a_video(working, clip, tmp_path):
    output = Output(codec="hevc", quality=30)
    job = working.wait(working.submit(clip, "anime", output=output, preview=True), timeout=240)
    assert job.state is State.DONE, job.error_text
    working.result(job, tmp_path / "out.mp4")
    assert streams(tmp_path / "out.mp4")[0]["codec_name"] == "hevc"
    poster, comparison = sorted(working.previews(job, tmp_path), key=lambda path: path.suffix)
    assert (poster.name, comparison.name) == ("poster.jpg", "comparison.mp4")
    (picture,) = streams(comparison)
    assert (picture["codec_name"], picture["width"] > picture["height"] * 3) == ("h264", True)


def test_without_asking_there_are_no_previews(working, photo, tmp_path):
    job = working.wait(working.submit(photo, "enhance", {"scale": 1}), timeout=120)
    assert working.previews(job, tmp_path) == []


def test_many_come_back_in_their_order(working):
    pictures = []
    for side in range(40, 46):
        stream = io.BytesIO()
        Image.new("RGB", (side, side), (side, 0, 0)).save(stream, "PNG")
        pictures.append(stream.getvalue())
    for side, job in enumerate(working.submit_many(pictures, "pass-through"), 40):
        assert working.wait(job, timeout=60).state is State.DONE
        stream = io.BytesIO()
        working.result(job, stream)
        with Image.open(stream) as result:
            assert result.size == (side, side)


def test_jobs_come_as_they_complete(working, photo):
    slow = working.submit(photo, "sleep", {"seconds": 3})
    quick = working.submit_many([photo] * 2, "pass-through")
    working.cancel(slow)
    found = list(working.as_completed([slow, *quick, quick[0]], timeout=60))
    assert found[0].id == slow.id
    assert {job.id: job.state for job in found} == {slow.id: State.CANCELLED} | {job.id: State.DONE for job in quick}
    assert len(found) == 3


def test_completion_has_an_end(client, photo):
    done, waiting = client.submit_many([photo] * 2, "pass-through")
    client.cancel(done)
    completed = client.as_completed([done, waiting], timeout=0.1)
    assert next(completed).id == done.id
    with pytest.raises(WaitTimeout):
        next(completed)
    with pytest.raises(UnknownJob):
        next(client.as_completed([uuid.uuid4()]))
    assert list(client.as_completed([])) == []


def test_a_damaged_upload_fails_at_once_with_its_reason(working, photo):
    job = working.wait(working.submit(photo.read_bytes()[:20_000], "pass-through"), timeout=60)
    assert (job.state, job.error) == (State.FAILED, "damaged_media")
    with pytest.raises(JobFailed) as raised:
        working.result(job, io.BytesIO())
    assert (raised.value.code, str(raised.value)) == (job.error, job.error_text)
    assert states(working, job) == [("input", "destroyed")]


def test_a_running_job_can_be_cancelled(working, photo):
    job = working.submit(photo, "sleep", {"seconds": 3})
    for found in working.watch(job, timeout=60):
        if found.state is State.RUNNING and found.units_total:
            assert working.cancel(job).state is State.CANCELLED
    assert states(working, job) == [("input", "destroyed")]


def test_a_result_whose_time_is_over_is_gone(working, photo):
    job = working.wait(working.submit(photo, "pass-through"), timeout=60)
    states(working, job)
    with working._engine.begin() as connection:
        due = {"due_at": job.created_at}
        connection.execute(sa.update(ASSETS).where(ASSETS.c.job_id == uuid.UUID(job.id)).values(**due))
    working.sweep()
    with pytest.raises(ResultGone) as raised:
        working.result(job, io.BytesIO())
    assert raised.value.code == "result_gone"
    assert len(working.receipts(job)) == 2


def test_a_target_that_cannot_be_written_leaves_no_part(working, photo, tmp_path):
    job = working.wait(working.submit(photo, "pass-through"), timeout=60)
    (tmp_path / "taken").mkdir()
    for target in (tmp_path / "taken", tmp_path / "nowhere" / "x.jpg"):
        with pytest.raises(InvalidTarget) as raised:
            working.result(job, target)
        assert "taken" not in str(raised.value)
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(InvalidTarget):
        working.result(job, closed)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_one_client_in_several_threads(working, photo):
    found, errors = [], []

    def work():
        try:
            found.append(working.wait(working.submit(photo, "pass-through"), timeout=60))
        except MayflyError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert errors == []
    assert [job.state for job in found] == [State.DONE] * 4


@pytest.mark.parametrize("name", ["owner", "consent", "idempotency_key"])
@pytest.mark.parametrize("value", ["", "x" * 256, "a\0b", "a\nb"])
def test_a_reference_that_does_not_fit_is_refused(embedded, photo, name, value):
    client = Client(embedded)
    with pytest.raises(MayflyError) as refused:
        client.submit(photo, "pass-through", **{name: value})
    assert refused.value.code == "invalid_reference"
    assert not value.strip() or value not in str(refused.value)
    assert client.jobs() == []
