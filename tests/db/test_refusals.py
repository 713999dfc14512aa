"""What could not be destroyed is put off for longer each time, up to an hour, and never given up."""

import sqlalchemy as sa

from mayfly.db import assets, refusals
from mayfly.db.tables import ASSETS
from tests import clock, rows


def _wait(engine, asset_id):
    with engine.connect() as connection:
        tries, moment = connection.execute(
            sa.select(ASSETS.c.tries, ASSETS.c.next_try_at).where(ASSETS.c.id == asset_id)
        ).one()
    return tries, (moment - clock.now()).total_seconds()


def test_each_try_comes_after_twice_the_time_and_within_an_hour(engine, create):
    _, asset = create(due_at=clock.after(-1), lease=-1)
    for number, seconds in enumerate((60, 120, 240, 480, 960, 1920, 3600, 3600), 1):
        refusals.put_off(engine, [asset.id])
        tries, wait = _wait(engine, asset.id)
        assert tries == number
        # The clock goes on while a slow machine asks.
        assert seconds - 30 < wait <= seconds
    rows.set_asset(engine, asset.id, tries=100_000)
    refusals.put_off(engine, [asset.id])
    assert 3570 < _wait(engine, asset.id)[1] <= 3600


def test_what_was_put_off_is_passed_over_until_its_time(engine, create):
    kept, other = (create(due_at=clock.after(seconds), lease=-1)[1] for seconds in (-9, -5))
    refusals.put_off(engine, [kept.id])
    assert [asset.id for asset in assets.due(engine, limit=9, put_off=False)] == [other.id]
    assert [asset.id for asset in assets.due(engine, limit=9)] == [kept.id, other.id]
    rows.set_asset(engine, kept.id, next_try_at=clock.after(-1))
    assert [asset.id for asset in assets.due(engine, limit=9, put_off=False)] == [kept.id, other.id]


def test_what_was_destroyed_meanwhile_is_not_put_off(engine, create):
    _, asset = create(due_at=clock.after(-1), lease=-1)
    assets.record_destruction(engine, asset, verified="x")
    refusals.put_off(engine, [asset.id])
    assert refusals.count(engine) == (0, None)
    with engine.connect() as connection:
        assert connection.execute(sa.select(ASSETS.c.tries)).scalar_one() == 0


def test_the_count_names_the_most_overdue(engine, create):
    found = [create(due_at=clock.after(seconds), lease=-1)[1] for seconds in (-5, -50, -500)]
    refusals.put_off(engine, [found[0].id, found[1].id])
    assert refusals.count(engine) == (2, found[1].due_at)
