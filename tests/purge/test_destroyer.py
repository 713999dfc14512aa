"""The destroyer: at once, beside the work, one job's assets at a time; what it cannot do is left to the sweep."""

import threading

import pytest
import sqlalchemy as sa

from mayfly.db import assets
from mayfly.db.states import AssetState
from mayfly.purge import sweeper
from mayfly.purge.destroyer import Destroyer
from mayfly.purge.sweeper import Sweep

SECRET = "owner-of-nothing"


@pytest.fixture
def destroyer(engine, store):
    opened = Destroyer(engine, store)
    yield opened
    opened.close()


def test_it_has_destroyed_what_it_was_given_when_it_is_closed(engine, store, uploaded, destroyer):
    found = [uploaded(-1) for _ in range(3)]
    for _, asset in found:
        destroyer.destroy([asset])
    destroyer.close()
    for job_id, asset in found:
        assert store.size(asset.key) is None
        assert [one.state for one in assets.of_job(engine, job_id)] == [AssetState.DESTROYED]
    assert len(assets.receipts(engine, [job_id for job_id, _ in found])) == 3


def test_the_caller_goes_on_at_once_and_waits_only_for_the_job_before(store, uploaded, destroyer, monkeypatch):
    release, begun = threading.Event(), []
    monkeypatch.setattr(sweeper, "destroy_all", lambda *_: begun.append(1) or release.wait(30))
    _, asset = uploaded(-1)
    destroyer.destroy([asset])
    second = threading.Thread(target=destroyer.destroy, args=([asset],))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    release.set()
    second.join(30)
    assert not second.is_alive()


def test_what_the_store_does_not_give_up_is_left_to_the_sweep(engine, store, uploaded, destroyer):
    _, asset = uploaded(-1)
    store.broken = True
    destroyer.destroy([asset])
    destroyer.close()
    store.broken = False
    assert sweeper.sweep(engine, store) == Sweep(destroyed=1, failed=0)


def test_a_database_that_is_away_is_logged_without_its_words(uploaded, destroyer, monkeypatch, caplog):
    def away(*_, **__):
        raise sa.exc.OperationalError(SECRET, {}, Exception(SECRET))

    monkeypatch.setattr(assets, "record_destruction", away)
    for _ in range(2):
        _, asset = uploaded(-1)
        destroyer.destroy([asset])
    destroyer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert SECRET not in caplog.text
