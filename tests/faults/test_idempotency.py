"""A key is its owner's and names one request; a repeat finds the job that lives, and never one that died on its way."""

import io
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mayfly import Client, Output
from mayfly.client.errors import InvalidSource
from mayfly.db import claims, clock, jobs
from mayfly.db.errors import KeyTaken
from mayfly.db.states import AssetState, Stage, State
from mayfly.db.tables import JOBS
from tests.faults.producers import Source, beside
from tests.integration.stage import opened, wait_for
from tests.integration.test_killed_producer import kill_producer, lapse


@pytest.fixture(params=["embedded", "full"])
def client(request):
    """A producer of either set-up; no worker runs."""
    with Client(request.getfixturevalue(request.param)) as client:
        yield client


@pytest.fixture
def owner():
    """An owner of this test alone."""
    return f"owner-{uuid.uuid4()}"


@pytest.fixture
def submit(client, owner, photo):
    """Submit the photo under one key of one owner, but for what is given."""

    def call(source=photo, effect="sleep", params=None, **more):
        given = {"owner": owner, "idempotency_key": "k"} | more
        return client.submit(source, effect, {"seconds": 1} if params is None else params, **given)

    return call


def states(client, job):
    return [asset.state for asset in client.assets(job)]


def test_a_repeat_is_the_same_job_whatever_the_source_is(client, submit, photo):
    content = photo.read_bytes()
    middle = io.BytesIO(b"header" + content)
    middle.seek(6)
    first = submit()
    assert states(client, first) == [AssetState.STORED]
    for source in (photo, str(photo), content, middle):
        assert submit(source) == first
    # What is left out is what it would be.
    assert submit(params={"seconds": 1.0}, preview=False) == first


def test_the_stream_is_stored_whole_though_it_was_read_for_its_fingerprint(client, submit, photo):
    content = photo.read_bytes()
    middle = io.BytesIO(b"header" + content)
    middle.seek(6)
    job = submit(middle)
    assert client._store.read(client.assets(job)[0].key) == content


@pytest.mark.parametrize(
    "other",
    [
        {"effect": "pass-through", "params": {}},
        {"params": {"seconds": 2}},
        {"source": b"another"},
        {"preview": True},
        {"output": Output(quality=30)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_request_under_the_same_key_is_refused_by_name(client, submit, photo, owner, other):
    first = submit()
    if "source" in other:
        other = {"source": photo.read_bytes() + b"x"}
    with pytest.raises(KeyTaken) as raised:
        submit(**other)
    assert raised.value.code == "idempotency_conflict"
    assert owner not in str(raised.value)
    assert client.status(first) == first
    with client._engine.connect() as connection:
        count = sa.select(sa.func.count()).select_from(JOBS).where(JOBS.c.owner == owner)
        assert connection.execute(count).scalar() == 1


def test_a_repetition_is_no_error_to_the_server(client, submit):
    """An error leaves the values of the row, and so the key, in the server's log."""
    first, errors = submit(), []

    def note(context):
        errors.append(context.original_exception)

    sa.event.listen(client._engine, "handle_error", note)
    assert submit() == first
    with pytest.raises(KeyTaken):
        submit(params={"seconds": 2})
    with ThreadPoolExecutor(4) as pool:
        assert len({job.id for job in pool.map(lambda _: submit(idempotency_key="together"), range(4))}) == 1
    sa.event.remove(client._engine, "handle_error", note)
    assert errors == []


def test_a_key_is_its_owners_own(submit, owner):
    first = submit()
    assert submit(owner=f"{owner}-2").id != first.id
    assert submit(owner=f"{owner}-2", params={"seconds": 3}, idempotency_key="k2").id != first.id


def test_a_fingerprint_tells_nothing_without_its_key(client, submit, owner):
    first, second = submit(), submit(idempotency_key="k2")
    with client._engine.connect() as connection:
        query = sa.select(JOBS.c.fingerprint).where(JOBS.c.id.in_([uuid.UUID(job.id) for job in (first, second)]))
        one, two = connection.execute(query).scalars()
    assert one != two
    assert len(one) == len(two) == 64


def test_an_upload_that_failed_makes_way(client, submit, photo):
    class Fragile(io.BytesIO):
        """Ends in an error when it is read again after its fingerprint was taken."""

        read_before = False

        def read(self, size=-1):
            if self.read_before:
                raise OSError("gone")
            self.read_before = self.tell() >= len(content)
            return super().read(size)

    content = photo.read_bytes()
    with pytest.raises(InvalidSource):
        submit(Fragile(content))
    (failed, *_) = client.jobs()
    assert failed.state is State.FAILED
    job = submit(content)
    assert (job.id != failed.id, job.state, states(client, job)) == (True, State.QUEUED, [AssetState.STORED])
    assert submit(content) == job


def test_a_job_that_failed_at_work_is_what_a_repeat_gets(client, submit):
    job = submit()
    claim = claims.take(client._engine, uuid.UUID(job.id), stage=Stage.EFFECT, holder="host:1:1.0:1", lease=60)
    assert claim is not None
    jobs.end(client._engine, uuid.UUID(job.id), to=State.FAILED, error="damaged_media", error_text="send another")
    assert (submit().id, submit().error) == (job.id, "damaged_media")


def test_a_cancelled_job_is_forgotten_with_its_key(submit, client):
    job = submit()
    client.cancel(job)
    assert submit().id != job.id


def test_a_live_upload_is_answered_with_its_job(client, submit, photo):
    goes_on, reading = threading.Event(), threading.Event()

    def hold():
        reading.set()
        assert goes_on.wait(30)

    content = photo.read_bytes()

    class Held(Source):
        """Held when it is stored; its end was reached before for its size, and for its fingerprint."""

        ends = 0

        def seek(self, offset, whence=0):
            if whence == 0 and self.tell() >= len(content):
                self.ends += 1
                self._call = hold if self.ends == 2 else None
            return super().seek(offset, whence)

    with beside(lambda: submit(Held(content, lambda: None))) as first:
        try:
            assert reading.wait(30)
            repeated = submit()
            assert repeated.state is State.UPLOADING
        finally:
            goes_on.set()
    assert first.result().id == repeated.id
    assert submit() == first.result()
    assert states(client, repeated) == [AssetState.STORED]


def test_a_lapsed_upload_makes_way(client, submit, owner, photo):
    """Embedded too, where nobody may have looked for abandoned uploads since."""
    first = submit()
    with client._engine.begin() as connection:
        dead = {"state": State.UPLOADING.value, "lease_until": clock.after(-1)}
        connection.execute(sa.update(JOBS).where(JOBS.c.id == uuid.UUID(first.id)).values(**dead))
    job = submit()
    assert (job.id != first.id, job.state) == (True, State.QUEUED)
    assert (client.status(first).state, client.status(first).error) == (State.FAILED, "upload_abandoned")
    client.sweep()
    assert states(client, first) == [AssetState.DESTROYED]
    assert states(client, job) == [AssetState.STORED]


@pytest.mark.parametrize("point", ["before the bytes", "in mid-bytes", "before the mark"])
def test_what_a_killed_producer_began_makes_way(servers, tmp_path, photo, point):
    with opened(servers, tmp_path) as stage:
        killed = kill_producer(stage, point, photo, "key of the killed")

        def again():
            references = {"owner": f"owner of {point}", "idempotency_key": "key of the killed"}
            return stage.client.submit(photo, "pass-through", **references)

        # As long as it may live, nobody takes its place.
        assert (again().id, again().state) == (killed, State.UPLOADING)
        lapse(stage)
        job = again()
        assert (job.id != killed, job.state) == (True, State.QUEUED)
        assert again() == job
        assert stage.job(killed).error == "upload_abandoned"
        stage.client.sweep()
        wait_for("only the new upload", lambda: not stage.objects(killed))
        assert len(stage.objects(job.id)) == 1
