"""The sweeper: object first, then proof that it is gone, then the receipt."""

import io

import pytest
import sqlalchemy as sa

from mayfly.db import assets, findings, jobs, migrate, refusals, room
from mayfly.db import engine as engines
from mayfly.db.states import AssetState, Retention, State
from mayfly.db.tables import JOBS
from mayfly.media.errors import StorageError, StorageUnavailable
from mayfly.media.storage.folder import FolderStore
from mayfly.purge import sweeper
from mayfly.purge.sweeper import Sweep
from tests import clock, rows


def test_what_is_due_is_destroyed_and_nothing_else(engine, store, uploaded):
    due, asset = uploaded(-1, retention=Retention.FACE_INPUT)
    kept, other = uploaded(60)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)
    assert [found.key for found in store.objects()] == [other.key]
    (receipt,) = assets.receipts(engine, [due, kept])
    assert (receipt.asset_id, receipt.retention) == (asset.id, Retention.FACE_INPUT)
    assert receipt.verified == sweeper.ABSENT
    assert receipt.destroyed_at <= receipt.deadline_at
    assert jobs.get(engine, kept).state is State.QUEUED


def test_a_job_expires_with_its_input(engine, store, uploaded):
    job_id, _ = uploaded(-1)
    sweeper.sweep(engine, store)
    job = jobs.get(engine, job_id)
    assert (job.state, job.error, job.parameters) == (State.FAILED, "expired", None)
    assert "submit it again" in job.error_text


def test_a_job_expires_before_its_upload_goes_so_that_nobody_begins_with_it(engine, store, uploaded, monkeypatch):
    job_id, _ = uploaded(-1)
    seen, destroy = [], store.destroy_many

    def destroy_many(keys):
        seen.append(jobs.get(engine, job_id).error)
        destroy(keys)

    monkeypatch.setattr(store, "destroy_many", destroy_many)
    sweeper.sweep(engine, store)
    assert seen == ["expired"]


@pytest.mark.parametrize("retention", [Retention.INPUT, Retention.FACE_INPUT])
def test_an_upload_expires_as_well(engine, store, uploaded, retention):
    job_id, asset = uploaded(-1, upload=False, retention=retention, lease=-1)
    sweeper.sweep(engine, store)
    assert jobs.get(engine, job_id).error == "expired"
    assert store.size(asset.key) is None


def test_what_is_still_being_written_gets_its_receipt_when_its_writer_has_ended(engine, store, uploaded):
    job_id, asset = uploaded(-1, upload=False)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=0)
    # Its producer learns of it at the next renewal.
    assert jobs.get(engine, job_id).error == "expired"
    assert not jobs.extend_upload(engine, job_id, asset.id, lease=60)
    assert assets.receipts(engine, [job_id]) == []
    rows.set_asset(engine, asset.id, lease_until=clock.after(-1))
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)
    assert list(store.objects()) == []


def test_a_job_whose_upload_is_gone_expires_whoever_destroyed_it(engine, store, uploaded):
    job_id, asset = uploaded(-1)
    sweeper.destroy(engine, store, asset)
    sweeper.sweep(engine, store)
    assert jobs.get(engine, job_id).error == "expired"


def test_a_finished_job_does_not_expire_with_its_result(engine, store, uploaded):
    job_id, asset = uploaded(-1)
    jobs.end(engine, job_id, to=State.CANCELLED)
    sweeper.sweep(engine, store)
    assert jobs.get(engine, job_id).state is State.CANCELLED
    assert store.size(asset.key) is None


def test_while_the_store_fails_the_asset_stays_due_and_has_no_receipt(engine, store, uploaded):
    job_id, asset = uploaded(-1)
    store.broken = True
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=1)
    assert assets.receipts(engine, [job_id]) == []
    (row,) = assets.due(engine, limit=9)
    assert (row.id, row.key, row.state) == (asset.id, asset.key, AssetState.STORED)
    # The job does not wait for the store, nor does anybody start it again.
    assert jobs.get(engine, job_id).error == "expired"
    store.broken = False
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)
    assert len(assets.receipts(engine, [job_id])) == 1


def test_no_receipt_without_verification(engine, store, uploaded):
    job_id, asset = uploaded(-1)
    store.lies = True
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=1)
    assert store.size(asset.key) == 7
    assert assets.receipts(engine, [job_id]) == []
    assert len(assets.due(engine, limit=9)) == 1


def _blocked(store, asset):
    """Put something in an object's place that no store of files deletes as a file: a folder that is not empty."""
    path = store.root / asset.key
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def test_full_batches_of_what_cannot_be_destroyed_are_in_nobodys_way(engine, store, uploaded, monkeypatch):
    monkeypatch.setattr(sweeper, "BATCH", 2)
    for number in range(5):
        _blocked(store, uploaded(-100 + number)[1])
    good = [uploaded(-10)[0] for _ in range(3)]
    assert sweeper.sweep(engine, store) == Sweep(destroyed=3, failed=5)
    assert len(assets.receipts(engine, good)) == 3


def test_what_cannot_be_destroyed_is_tried_again_for_ever_but_not_at_every_sweep(engine, store, uploaded):
    job_id, asset = uploaded(-1)
    _blocked(store, asset)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=1)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=0)
    # A person who asks for it does not wait.
    assert sweeper.sweep(engine, store, at_once=True) == Sweep(destroyed=0, failed=1)
    rows.set_asset(engine, asset.id, next_try_at=clock.after(-1), tries=1000)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=1)
    (store.root / asset.key / "inside").unlink()
    (store.root / asset.key).rmdir()
    rows.set_asset(engine, asset.id, next_try_at=clock.after(-1))
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)
    assert len(assets.receipts(engine, [job_id])) == 1
    assert refusals.count(engine) == (0, None)


@pytest.mark.parametrize("error", [StorageUnavailable("SECRET"), StorageError("SECRET"), ValueError("SECRET")])
def test_no_error_of_one_asset_ends_the_sweep(engine, store, uploaded, monkeypatch, caplog, error):
    """Whether the store refuses, or its client cannot read what it says."""
    stuck = uploaded(-9)[1]
    uploaded(-5)

    def size(key):
        if key == stuck.key:
            raise error
        return FolderStore.size(store, key)

    monkeypatch.setattr(store, "size", size)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=1)
    assert refusals.count(engine) == (1, stuck.due_at)
    assert str(stuck.id) in caplog.text
    assert "SECRET" not in caplog.text


def test_a_store_that_is_away_is_no_assets_fault_and_few_are_tried(engine, store, uploaded, monkeypatch):
    monkeypatch.setattr(sweeper, "BATCH", 20)
    for _ in range(40):
        uploaded(-1)
    tried = []

    def destroy(key, **_):
        tried.append(key)
        raise StorageUnavailable("the object store does not answer")

    monkeypatch.setattr(store, "destroy", destroy)
    found = sweeper.sweep(engine, store)
    assert (found.destroyed, found.failed) == (0, 20)
    assert len(tried) <= 2 * sweeper.THREADS
    assert refusals.count(engine) == (0, None)
    monkeypatch.undo()
    assert sweeper.sweep(engine, store) == Sweep(destroyed=40, failed=0)


def test_a_folder_that_is_not_there_is_a_store_that_is_away(engine, store, uploaded):
    _, asset = uploaded(-1)
    aside = store.root.rename(store.root.with_name("aside"))
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=1)
    assert refusals.count(engine) == (0, None)
    assert assets.receipts(engine, [asset.job_id]) == []
    aside.rename(store.root)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)


def test_a_row_that_takes_no_receipt_takes_no_others_along(engine, store, uploaded):
    _, asset = uploaded(-9)
    good = [uploaded(-5)[0] for _ in range(2)]
    assets.record_destruction(engine, asset, verified="x")
    rows.set_asset(engine, asset.id, state=AssetState.STORED.value, key=asset.key)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=2, failed=1)
    assert len(assets.receipts(engine, good)) == 2
    assert refusals.count(engine) == (1, asset.due_at)


def test_a_sweep_blanks_what_was_left_behind(engine, store, uploaded):
    job_id, _ = uploaded(-1, owner="owner-9")
    sweeper.sweep(engine, store)
    assert findings.get(engine, findings.LEFT_BEHIND) is None
    with engine.begin() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(owner="owner-9"))
    sweeper.sweep(engine, store)
    with engine.connect() as connection:
        assert connection.execute(sa.select(JOBS.c.owner)).scalar_one() is None
    assert findings.get(engine, findings.LEFT_BEHIND).count == 1


def test_what_was_blanked_is_in_no_file_of_the_database(tmp_path, store):
    """SQLite's log keeps what was written until it is moved and overwritten."""
    secret, home = "owner-that-nobody-else-has", tmp_path / "home"
    engine = engines.connect(f"sqlite:///{home / 'test.db'}")
    migrate.ensure(engine)
    rows.create(engine, due_at=clock.after(-1), lease=-1, owner=secret, consent=secret, parameters={"x": secret})

    def files():
        return [path for path in home.iterdir() if secret.encode() in path.read_bytes()]

    assert files()
    with engines.reading(engine) as reader:
        reader.execute(sa.text("select count(*) from jobs")).scalar()
        # Whoever still reads what was there before keeps it; the next sweep empties the log.
        sweeper.sweep(engine, store)
    sweeper.sweep(engine, store)
    assert files() == []
    assert (home / "reserve").stat().st_blocks * 512 >= room.RESERVE_BYTES
    engine.dispose()


def test_one_failure_keeps_nobody_else_alive(engine, store, uploaded, monkeypatch):
    found = [uploaded(-10 + number)[1] for number in range(3)]
    stuck = found[0].key

    def destroy(key, **options):
        if key == stuck:
            raise StorageUnavailable("the object store does not answer")
        FolderStore.destroy(store, key, **options)

    monkeypatch.setattr(store, "destroy", destroy)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=2, failed=1)
    assert [entry.key for entry in store.objects()] == [stuck]


def test_a_sweep_goes_on_until_nothing_is_due(engine, store, uploaded, monkeypatch):
    monkeypatch.setattr(sweeper, "BATCH", 2)
    found = [uploaded(-1)[0] for _ in range(5)]
    assert sweeper.sweep(engine, store) == Sweep(destroyed=5, failed=0)
    assert list(store.objects()) == []
    assert {jobs.get(engine, job_id).error for job_id in found} == {"expired"}


def test_a_sweep_of_failures_ends(engine, store, uploaded, monkeypatch):
    monkeypatch.setattr(sweeper, "BATCH", 2)
    for _ in range(3):
        uploaded(-1)
    store.broken = True
    assert sweeper.sweep(engine, store) == Sweep(destroyed=0, failed=2)


def test_destroying_twice_is_harmless(engine, store, uploaded):
    job_id, asset = uploaded(-1)
    for _ in range(2):
        sweeper.destroy(engine, store, asset)
    assert len(assets.receipts(engine, [job_id])) == 1


def test_what_is_due_of_one_job(engine, store, uploaded):
    mine, _ = uploaded(-1)
    _, other = uploaded(-1)
    assert sweeper.destroy_due(engine, store, mine) == Sweep(destroyed=1, failed=0)
    assert [entry.key for entry in store.objects()] == [other.key]


def test_what_an_interrupted_upload_left_goes_as_well(engine, store, uploaded):
    job_id, asset = uploaded(-1, upload=False, lease=-1)
    store.destroy(asset.key)
    with pytest.raises(StorageUnavailable):
        store.put(asset.key, io.BytesIO(b"123"), 5)
    assert len(list(store.objects())) == 1
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)
    assert list(store.objects()) == []
    assert len(assets.receipts(engine, [job_id])) == 1
