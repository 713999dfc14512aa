"""The sweeper: object first, then proof that it is gone, then the receipt."""

import io

import pytest

from db import assets, jobs
from db.states import AssetState, Retention, State
from media.errors import StorageUnavailable
from media.storage_folder import FolderStore
from purge import sweeper
from purge.sweeper import Sweep
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
    for _ in range(5):
        uploaded(-1)
    assert sweeper.sweep(engine, store) == Sweep(destroyed=5, failed=0)
    assert list(store.objects()) == []


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
