"""Whether anybody sweeps is known from the tables."""

import sqlalchemy as sa

from mayfly.db import assets, findings, refusals
from mayfly.db.tables import PERIODIC_RUNS
from mayfly.purge import status
from tests import clock


def swept(engine, *, ago):
    with engine.begin() as connection:
        values = {"task": status.SWEEP, "slot": int(-ago), "claimed_at": clock.after(-ago)}
        connection.execute(sa.insert(PERIODIC_RUNS).values(**values))


def test_nothing_is_held_and_nobody_need_sweep(engine):
    found = status.sweeping(engine)
    assert (found.seconds_since, found.held, found.late, found.idle) == (None, 0, 0, False)


def test_something_is_held_and_nobody_sweeps(engine, uploaded):
    uploaded(3600)
    assert status.sweeping(engine).idle
    swept(engine, ago=status.LATE_SECONDS + 60)
    assert status.sweeping(engine).idle
    swept(engine, ago=10)
    found = status.sweeping(engine)
    assert not found.idle
    assert 9.9 <= found.seconds_since < 20
    assert found.text == f"last sweep: {found.seconds_since:.0f} s ago"


def test_what_is_due_and_lies_there_is_late(engine, uploaded):
    uploaded(-status.LATE_SECONDS - 30)
    uploaded(-5)
    uploaded(3600)
    found = status.sweeping(engine)
    assert (found.held, found.late) == (3, 1)
    assert "1 assets have been due" in found.text


def test_what_the_store_does_not_give_up_is_counted_apart(engine, uploaded):
    found = [uploaded(-status.LATE_SECONDS - seconds)[1] for seconds in (30, 90)]
    refusals.put_off(engine, [asset.id for asset in found])
    seen = status.sweeping(engine)
    assert (seen.late, seen.refused, seen.refused_since) == (0, 2, found[1].due_at)
    since = found[1].due_at.isoformat(timespec="seconds")
    assert f"2 assets could not be destroyed, the oldest is due since {since}" in seen.text
    for asset in found:
        assets.record_destruction(engine, asset, verified="x")
    assert status.sweeping(engine).refused == 0


def test_what_a_sweep_had_to_mend_is_said_for_ever(engine, uploaded):
    assert "personal" not in status.sweeping(engine).text
    with engine.begin() as connection:
        findings.note(connection, findings.LEFT_BEHIND, 2)
        findings.note(connection, findings.LEFT_BEHIND, 3)
    found = status.sweeping(engine)
    assert found.left_behind.count == 5
    assert "personal fields of 5 jobs had stayed and were blanked" in found.text


def test_the_task_is_beats():
    from mayfly.tasks import maintenance
    from mayfly.tasks.messages import queues

    assert status.SWEEP == maintenance.SWEEP
    assert 3 * queues.PERIODIC[status.SWEEP] == status.LATE_SECONDS
