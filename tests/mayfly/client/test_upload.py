"""An upload: its rows come first, it is heard of while it lasts, and whatever ends it leaves nothing."""

import datetime
import io
import threading

import pytest
import sqlalchemy as sa

from mayfly.client import upload
from mayfly.client.errors import InvalidSource, UploadRefused
from mayfly.client.notices import Notices
from mayfly.client.services import Services
from mayfly.client.upload import Heartbeat
from mayfly.db import assets, jobs
from mayfly.db.errors import DatabaseMissing
from mayfly.db.states import AssetState, Retention, State
from mayfly.db.tables import ASSETS, JOBS
from mayfly.media.errors import StorageUnavailable
from tests import clock, rows
from tests.rows import HOUR

CONTENT = b"\xff\xd8\xff" + bytes(5000)
REQUEST = jobs.Request(
    effect="anime",
    media="image",
    suffix=".jpg",
    parameters={"strength": 0.5},
    retention=Retention.INPUT,
    due_after=22 * HOUR,
    deadline_after=24 * HOUR,
    owner="owner-1",
)


@pytest.fixture
def services(embedded, monkeypatch):
    opened = Services(embedded.model_copy(update={"upload_lease": 60.0}))
    yield opened
    opened.close()


def store(services, stream=None, request=REQUEST):
    return upload.upload(services, request, stream or io.BytesIO(CONTENT), len(CONTENT), Notices(None))


def only_job(services):
    (job,) = jobs.recent(services.engine, limit=9)
    return job


def set_job(engine, **values):
    with engine.begin() as connection:
        connection.execute(sa.update(JOBS).values(**values))


class Source(io.BytesIO):
    """The upload; calls `at` before its first byte is given, and notes how often it was read."""

    def __init__(self, at):
        super().__init__(CONTENT)
        self.at, self.reads = at, 0

    def read(self, size=-1):
        self.reads += 1
        if self.reads == 1:
            self.at()
        # In small pieces, so that there is a next read.
        return super().read(min(size, 1000))


def test_the_row_comes_before_the_bytes_and_the_queue_after_them(services):
    seen = []

    def look():
        job = only_job(services)
        (asset,) = assets.of_job(services.engine, job.id)
        seen.append((job.state, asset.state, sum(entry.size for entry in services.store.objects())))
        assert 50 < (job.lease_until - clock.now()).total_seconds() <= 60

    job, fresh = store(services, Source(look))
    assert seen == [(State.UPLOADING, AssetState.PENDING, 0)]
    assert (job.state, fresh, job.lease_until) == (State.QUEUED, True, None)
    (asset,) = assets.of_job(services.engine, job.id)
    assert (asset.state, asset.size) == (AssetState.STORED, len(CONTENT))
    assert services.store.read(asset.key) == CONTENT
    assert abs(asset.due_at - job.created_at - 22 * HOUR) < datetime.timedelta(seconds=1)


def test_a_key_that_is_known_stores_nothing(services):
    request = jobs.Request(**vars(REQUEST) | {"idempotency_key": "k", "fingerprint": "f"})
    first, _ = store(services, request=request)
    again, fresh = store(services, Source(lambda: pytest.fail("it is read")), request)
    assert (again.id, fresh) == (first.id, False)
    assert len(list(services.store.objects())) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), "upload_abandoned"),
        (SystemExit(), "upload_abandoned"),
        (MemoryError(), "upload_abandoned"),
        (StorageUnavailable("x"), "storage_unreachable"),
        (OSError(), InvalidSource.code),
    ],
    ids=repr,
)
def test_whatever_ends_it_leaves_no_bytes_and_no_row_that_looks_alive(services, error, code):
    def end():
        raise error

    class Late(Source):
        def read(self, size=-1):
            self.reads += 1
            if self.reads == 3:
                self.at()
            return io.BytesIO.read(self, min(size, 1000))

    with pytest.raises(InvalidSource if isinstance(error, OSError) else type(error)):
        store(services, Late(end))
    job = only_job(services)
    assert (job.state, job.error, job.parameters) == (State.FAILED, code, None)
    assert job.error_text == "the upload failed; submit it again"
    assert list(services.store.objects()) == []
    assert [receipt.retention for receipt in assets.receipts(services.engine, [job.id])] == [Retention.INPUT]


def ended_meanwhile(services, **end):
    """An upload whose job ends while it is read; returns how often it was read, and the error."""
    services.settings = services.settings.model_copy(update={"upload_lease": 0.03})
    heard = threading.Event()

    def cancel():
        jobs.end(services.engine, only_job(services).id, **end)
        # Until the heartbeat knows.
        (beating,) = [thread for thread in threading.enumerate() if thread.name == "upload"]
        beating.join(30)
        heard.set()

    source = Source(cancel)
    with pytest.raises(UploadRefused) as raised:
        store(services, source)
    assert heard.is_set()
    assert list(services.store.objects()) == []
    return source.reads, str(raised.value)


def test_a_cancelled_upload_stops_at_its_next_read(services):
    reads, text = ended_meanwhile(services, to=State.CANCELLED)
    assert (reads, text) == (1, "the job was cancelled while its input was being stored")
    assert only_job(services).state is State.CANCELLED


def test_an_upload_that_was_given_up_is_told_why(services):
    _, text = ended_meanwhile(services, to=State.FAILED, error="upload_abandoned")
    assert "nothing was heard from this process for 0.03 s" in text
    assert "cancelled" not in text


def test_an_upload_whose_job_has_failed_is_told_why(services):
    _, text = ended_meanwhile(services, to=State.FAILED, error="expired")
    assert "(expired)" in text


@pytest.mark.parametrize(
    ("end", "told"),
    [({"to": State.CANCELLED}, "cancelled"), ({"to": State.FAILED, "error": "upload_abandoned"}, "for 60 s")],
)
def test_one_that_ended_when_all_was_stored_is_not_queued(services, monkeypatch, end, told):
    put = services.store.put

    def put_and_cancel(*arguments):
        put(*arguments)
        jobs.end(services.engine, only_job(services).id, **end)

    monkeypatch.setattr(services.store, "put", put_and_cancel)
    with pytest.raises(UploadRefused, match=told):
        store(services)
    assert list(services.store.objects()) == []


def lossy(monkeypatch, name, *, lost):
    """Let a call of `jobs` do its work `lost` times without an answer; returns the list of its calls."""
    call, calls = getattr(jobs, name), []

    def answer(*arguments, **options):
        found = call(*arguments, **options)
        calls.append(name)
        if len(calls) <= lost:
            raise DatabaseMissing("the answer was lost")
        return found

    monkeypatch.setattr(jobs, name, answer)
    return calls


@pytest.mark.parametrize("name", ["create", "mark_uploaded"])
def test_an_answer_that_was_lost_is_asked_for_again(services, monkeypatch, name):
    calls = lossy(monkeypatch, name, lost=1)
    job, fresh = store(services)
    assert (job.state, fresh, len(calls)) == (State.QUEUED, True, 2)
    assert only_job(services).id == job.id
    assert len(list(services.store.objects())) == 1


def test_a_row_that_was_given_up_before_the_answer_came_is_refused(services, monkeypatch):
    create = jobs.create

    def slow(*arguments, **options):
        found = create(*arguments, **options)
        if len(jobs.recent(services.engine, limit=9)) == 1 and only_job(services).state is State.UPLOADING:
            jobs.end(services.engine, found[0].id, to=State.FAILED, error="upload_abandoned")
            raise DatabaseMissing("the answer was lost")
        return found

    monkeypatch.setattr(jobs, "create", slow)
    with pytest.raises(UploadRefused, match="nothing was heard"):
        store(services)
    assert list(services.store.objects()) == []


def test_a_database_that_stays_away_ends_it(services, monkeypatch):
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 0.0)
    calls = lossy(monkeypatch, "create", lost=99)
    with pytest.raises(DatabaseMissing, match="the answer was lost"):
        store(services)
    assert len(calls) == 1


@pytest.mark.parametrize("back", [False, True])
def test_an_end_in_doubt_says_so(services, monkeypatch, back):
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 0.0)
    lossy(monkeypatch, "mark_uploaded", lost=99)
    if not back:

        def away(*_, **__):
            raise DatabaseMissing("the database does not answer")

        monkeypatch.setattr(jobs, "end", away)
    with pytest.raises(DatabaseMissing) as raised:
        store(services)
    # What it did is known when it could be undone.
    assert (str(only_job(services).id) in str(raised.value)) is not back
    assert only_job(services).state is (State.FAILED if back else State.QUEUED)
    assert len(list(services.store.objects())) == (0 if back else 1)


def test_what_cannot_be_destroyed_now_is_due(services, monkeypatch):
    def away(*_, **__):
        raise StorageUnavailable("the object store does not answer")

    monkeypatch.setattr(services.store, "put", away)
    monkeypatch.setattr(services.store, "destroy", away)
    with pytest.raises(StorageUnavailable):
        store(services)
    job = only_job(services)
    assert (job.state, job.error) == (State.FAILED, "storage_unreachable")
    (asset,) = assets.of_job(services.engine, job.id)
    assert (asset.state, asset.due_at <= clock.now()) == (AssetState.PENDING, True)


# The heartbeat, by its own.


class Beats:
    """Stands in for an upload's end: each pause is noted, and the beats end after so many."""

    def __init__(self, beats):
        self.left, self.pauses = beats, []

    def wait(self, pause):
        self.pauses.append(pause)
        self.left -= 1
        return self.left < 0


def leases(engine):
    with engine.connect() as connection:
        return [connection.execute(sa.select(table.c.lease_until)).scalar() for table in (JOBS, ASSETS)]


@pytest.fixture
def beating(engine):
    """A heartbeat of an upload whose leases are over, as its thread would run it."""
    job, asset = rows.create(engine, lease=-1)
    found = Heartbeat(engine, job.id, asset.id, lease=60.0)
    found.job_id = job.id
    return found


def test_a_heartbeat_renews_both_leases_three_times_before_they_end(engine, beating):
    beating._done = Beats(2)
    beating._run()
    assert beating._done.pauses == [20.0] * 3
    assert min(leases(engine)) > clock.after(50)
    beating.check()


def test_a_heartbeat_goes_on_when_the_database_is_back(engine, beating, monkeypatch):
    extend, calls = jobs.extend_upload, []

    def away(*arguments, **options):
        calls.append(1)
        if len(calls) < 3:
            raise DatabaseMissing("the database does not answer")
        return extend(*arguments, **options)

    monkeypatch.setattr(jobs, "extend_upload", away)
    beating._done = Beats(4)
    beating._run()
    assert beating._done.pauses == [20.0, upload.AGAIN_SECONDS, upload.AGAIN_SECONDS, 20.0, 20.0]
    assert min(leases(engine)) > clock.after(50)
    beating.check()


def test_a_short_lease_is_tried_again_in_its_own_time(engine, beating, monkeypatch):
    def away(*_, **__):
        raise DatabaseMissing("the database does not answer")

    monkeypatch.setattr(jobs, "extend_upload", away)
    beating._lease, beating._done = 1.5, Beats(2)
    beating._run()
    assert beating._done.pauses == [0.5] * 3


def test_a_heartbeat_of_a_job_that_has_ended_says_so_and_stops(engine, beating):
    jobs.end(engine, beating.job_id, to=State.CANCELLED)
    beating._done = Beats(9)
    beating._run()
    assert len(beating._done.pauses) == 1
    with pytest.raises(UploadRefused):
        beating.check()


def test_a_heartbeat_that_fails_tells_the_upload(engine, beating, monkeypatch):
    def wrong(*_, **__):
        raise ValueError

    monkeypatch.setattr(jobs, "extend_upload", wrong)
    beating._done = Beats(9)
    beating._run()
    with pytest.raises(ValueError):
        beating.check()


def test_a_heartbeat_ends_with_its_block(engine):
    job, asset = rows.create(engine)
    with Heartbeat(engine, job.id, asset.id, lease=60.0):
        assert [thread.daemon for thread in threading.enumerate() if thread.name == "upload"] == [True]
    assert [thread for thread in threading.enumerate() if thread.name == "upload"] == []


def test_a_database_that_hangs_holds_no_upload_up(engine, monkeypatch):
    assert 0 < upload.LAST_BEAT_SECONDS <= 2
    monkeypatch.setattr(upload, "LAST_BEAT_SECONDS", 0.05)
    job, asset = rows.create(engine)
    beats, answers = threading.Event(), threading.Event()

    def hang(*_, **__):
        beats.set()
        assert answers.wait(30)
        return True

    monkeypatch.setattr(jobs, "extend_upload", hang)
    with Heartbeat(engine, job.id, asset.id, lease=0.03) as heartbeat:
        assert beats.wait(30)
    assert heartbeat._thread.is_alive(), "the block waited for the database"
    answers.set()
    heartbeat._thread.join(30)
