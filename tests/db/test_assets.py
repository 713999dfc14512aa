"""Assets and receipts: made before the bytes, kept until the destruction is verified, and nothing personal after."""

import datetime
import threading

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs, tables
from mayfly.db import engine as engines
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import ASSETS, JOBS
from tests import clock, rows

# Not mayfly.db.personal's own list, of which one could be missing.
PERSONAL = ("parameters", "output", "video", "owner", "consent", "idempotency_key", "fingerprint")
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def finished(engine, queued):
    """A finished job: its id, its input and its result."""
    job_id = queued(idempotency_key="k", fingerprint="f", output={"preview": True})
    claim = claims.take(engine, job_id, stage=Stage.INGEST, holder="h", lease=60)
    with engine.begin() as connection:
        result = assets.reserve(
            connection,
            job_id,
            retention=Retention.RESULT,
            suffix=".png",
            attempt=claim.fence,
            due_after=HOUR,
            deadline_after=2 * HOUR,
            lease=60,
        )
        connection.execute(sa.update(JOBS).values(video={"container": "MP4"}))
    assert claims.finish(engine, claim, result_id=result.id, size=3)
    first, second = assets.of_job(engine, job_id)
    return job_id, first, second


def set_asset(engine, asset_id, **values):
    with engine.begin() as connection:
        connection.execute(sa.update(ASSETS).where(ASSETS.c.id == asset_id).values(**values))


def test_a_key_holds_class_job_and_attempt_and_no_more(finished):
    job_id, first, second = finished
    assert first.key == f"input/{job_id}/0/{first.id}"
    assert second.key == f"result/{job_id}/1/{second.id}"


def test_the_most_overdue_is_due_first(engine, create):
    found = [create(due_at=clock.after(seconds), lease=-1)[1] for seconds in (-5, 60, -50, -20)]
    assert [asset.id for asset in assets.due(engine, limit=9)] == [found[2].id, found[3].id, found[0].id]
    assert [asset.id for asset in assets.due(engine, limit=1)] == [found[2].id]
    assert [asset.id for asset in assets.due(engine, limit=9, job_id=found[0].job_id)] == [found[0].id]


def test_what_is_due_is_read_page_by_page(engine, create):
    """By due time and, of those that are due at once, by id: none comes twice, none is left out."""
    moments = [clock.after(-9), *[clock.after(-7)] * 7, clock.after(-1)]
    found = [create(due_at=moment, lease=-1)[1] for moment in moments]
    wanted = [asset.id for asset in sorted(found, key=lambda asset: (asset.due_at, asset.id.hex))]
    pages, last = [], None
    while page := assets.due(engine, limit=2, after=last):
        pages.append([asset.id for asset in page])
        last = page[-1]
    assert pages == [wanted[start : start + 2] for start in range(0, 9, 2)]


def test_a_pending_asset_is_due_like_any_other(engine, create):
    _, asset = create(due_at=clock.after(-1), lease=-1)
    assert asset.state is AssetState.PENDING
    assert [due.id for due in assets.due(engine, limit=9)] == [asset.id]


def test_a_pending_asset_is_its_writers_while_their_lease_lasts(engine, create):
    """A receipt before the writer has ended would be untrue: the object may come after it."""
    job, asset = create(due_at=clock.after(-1), lease=60)
    assert assets.due(engine, limit=9) == []
    assert jobs.extend_upload(engine, job.id, asset.id, lease=-1)
    assert [due.id for due in assets.due(engine, limit=9)] == [asset.id]


def test_what_is_written_longer_than_a_lease_stays_its_writers(engine, create):
    _, asset = create(due_at=clock.after(-1), lease=-1)
    with engine.begin() as connection:
        assets.extend(connection, [asset.id], lease=60)
    assert assets.due(engine, limit=9) == []


def test_a_writer_gives_up_what_nobody_has_taken_over(engine, create):
    kept, given_up = (create()[1] for _ in range(2))
    with engine.begin() as connection:
        assets.mark_stored(connection, kept.id, size=3)
    found = assets.abandon(engine, [kept.id, given_up.id])
    assert [asset.id for asset in found] == [given_up.id]
    assert [asset.id for asset in assets.due(engine, limit=9)] == [given_up.id]


def test_an_intermediate_lives_no_longer_than_its_upload_may(engine, queued):
    job_id = queued()
    (uploaded,) = assets.of_job(engine, job_id)
    set_asset(engine, uploaded.id, due_at=clock.after(60), deadline_at=clock.after(120))
    (uploaded,) = assets.of_job(engine, job_id)
    made = {}
    for retention in (Retention.INTERMEDIATE, Retention.RESULT):
        made[retention] = rows.reserve(engine, job_id, retention)
    piece, result = made[Retention.INTERMEDIATE], made[Retention.RESULT]
    assert (piece.due_at, piece.deadline_at) == (uploaded.due_at, uploaded.deadline_at)
    assert result.due_at > clock.after(3500)
    assert result.deadline_at > clock.after(7100)


def test_making_due_moves_the_target_and_never_the_promise(engine, create):
    job, asset = create()
    other, _ = create()
    with engine.begin() as connection:
        assets.make_due(connection, job.id)
    (later,) = assets.of_job(engine, job.id)
    assert later.due_at <= clock.now() < asset.due_at
    assert later.deadline_at == asset.deadline_at
    assert assets.of_job(engine, other.id)[0].due_at > clock.now()


def test_making_due_puts_nothing_off(engine, create):
    job, asset = create(due_at=clock.after(-100))
    with engine.begin() as connection:
        assets.make_due(connection, job.id)
    assert assets.of_job(engine, job.id)[0].due_at == asset.due_at


def test_a_destruction_is_recorded_once(engine, create):
    job, asset = create(due_at=clock.after(-1))
    for _ in range(2):
        assets.record_destruction(engine, asset, verified="absent from the store")
    (receipt,) = assets.receipts(engine, [job.id])
    assert (receipt.asset_id, receipt.retention, receipt.verified) == (
        asset.id,
        Retention.INPUT,
        "absent from the store",
    )
    assert (receipt.due_at, receipt.deadline_at) == (asset.due_at, asset.deadline_at)
    assert asset.due_at <= receipt.destroyed_at <= clock.now()
    (row,) = assets.of_job(engine, job.id)
    assert (row.state, row.key) == (AssetState.DESTROYED, None)
    assert assets.due(engine, limit=9) == []


def test_a_destroyed_asset_cannot_become_stored(engine, create):
    job, asset = create()
    assets.record_destruction(engine, asset, verified="x")
    with engine.begin() as connection:
        assets.mark_stored(connection, asset.id, size=3)
        assets.make_due(connection, job.id)
    (row,) = assets.of_job(engine, job.id)
    assert (row.state, row.due_at) == (AssetState.DESTROYED, asset.due_at)


def test_personal_fields_go_with_the_last_asset(engine, finished, row):
    job_id, first, second = finished
    assets.record_destruction(engine, first, verified="x")
    assert all(row(job_id)[name] is not None for name in PERSONAL if name != "parameters")
    assets.record_destruction(engine, second, verified="x")
    assert {name: row(job_id)[name] for name in PERSONAL} == dict.fromkeys(PERSONAL)
    assert row(job_id)["state"] == "done"


def test_personal_fields_stay_while_the_job_can_go_on(engine, queued, row):
    job_id = queued()
    assets.record_destruction(engine, assets.of_job(engine, job_id)[0], verified="x")
    assert row(job_id)["owner"] == "owner-1"
    # It ends without assets, so no destruction follows that could blank them.
    jobs.end(engine, job_id, to=State.FAILED, error="expired")
    assert row(job_id)["owner"] is None
    assert len(assets.receipts(engine, [job_id])) == 1


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_two_that_destroy_the_last_assets_at_once_leave_nothing_to_each_other(engine, finished, row):
    """Under READ COMMITTED neither sees the other's asset as destroyed before it has committed."""
    job_id, first, second = finished
    written, go_on = threading.Event(), threading.Event()

    def pause(_connection):
        if threading.current_thread().name == "first":
            written.set()
            assert go_on.wait(60)

    def record(asset):
        assets.record_destruction(engine, asset, verified="x")

    sa.event.listen(engine, "commit", pause)
    try:
        threads = [threading.Thread(target=record, args=[a], name=n) for a, n in ((first, "first"), (second, "second"))]
        threads[0].start()
        assert written.wait(60)
        threads[1].start()
        waiting = sa.text(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        while threads[1].is_alive():
            with engines.reading(engine) as connection:
                if connection.execute(waiting).scalar():
                    break
        go_on.set()
        for thread in threads:
            thread.join(60)
    finally:
        go_on.set()
        sa.event.remove(engine, "commit", pause)
    assert {name: row(job_id)[name] for name in PERSONAL} == dict.fromkeys(PERSONAL)


def test_blanked_parameters_are_null_and_not_the_word(engine, finished):
    _, first, second = finished
    for asset in (first, second):
        assets.record_destruction(engine, asset, verified="x")
    with engine.connect() as connection:
        query = sa.text("select count(*) from jobs where parameters is null")
        assert connection.execute(query).scalar() == 1


def test_held_and_overdue_count_by_class(engine, finished):
    _, _, second = finished
    assert assets.held(engine) == {"face_input": 0, "input": 1, "intermediate": 0, "result": 1, "preview": 0}
    assert set(assets.overdue(engine).values()) == {0}
    set_asset(engine, second.id, deadline_at=clock.after(-1))
    assert assets.overdue(engine) == {"face_input": 0, "input": 0, "intermediate": 0, "result": 1, "preview": 0}
    assets.record_destruction(engine, second, verified="x")
    assert set(assets.overdue(engine).values()) == {0}
    assert assets.held(engine)["result"] == 0


def test_what_has_been_due_for_long_and_nobody_has_tried_to_destroy_is_late(engine, create):
    old, tried, written, gone = (create(due_at=clock.after(-100), lease=-1)[1] for _ in range(4))
    create(due_at=clock.after(-5), lease=-1)
    assert assets.late(engine, seconds=50) == 4
    set_asset(engine, tried.id, tries=1)
    set_asset(engine, written.id, lease_until=clock.after(60))
    assets.record_destruction(engine, gone, verified="x")
    assert assets.late(engine, seconds=50) == 1
    set_asset(engine, old.id, due_at=clock.after(-40))
    assert assets.late(engine, seconds=50) == 0


def test_receipts_are_of_the_jobs_that_were_asked_for(engine, create):
    found = [create() for _ in range(3)]
    for _, asset in found:
        assets.record_destruction(engine, asset, verified="x")
    asked = [found[0][0].id, found[2][0].id]
    assert [receipt.job_id for receipt in assets.receipts(engine, asked)] == asked


def test_the_schema_has_room_for_no_file_name_metadata_or_hash():
    columns = {name: set(table.columns.keys()) for name, table in tables.Base.metadata.tables.items()}
    # Whoever adds a column adds it here, and thinks about what it may hold.
    assert columns == {
        "jobs": {
            *("id", "effect", "media", "state", "stage", "created_at", "finished_at", "sent_at", "retry_at"),
            *("attempt", "tries", "lease_until", "holder", "units_done", "units_total", "error", "error_text"),
            *("started_at", "returns", "queued_at", "dead_letters", "emptied_at", "input_bytes"),
            *PERSONAL,
        },
        "segments": {
            *("job_id", "number", "state", "sent_at", "retry_at", "attempt", "tries", "lease_until", "holder"),
            *("units_done", "outcome", "window", "piece_id", "part_id"),
            *("returns", "queued_at", "dead_letters"),
        },
        "assets": {
            *("id", "job_id", "retention", "state", "key", "size", "suffix", "created_at", "due_at", "deadline_at"),
            *("lease_until", "tries", "next_try_at"),
        },
        "attempts": {"job_id", "number", "stage", "holder", "started_at", "ended_at", "outcome"},
        "receipts": {
            *("id", "asset_id", "job_id", "retention", "due_at", "deadline_at", "destroyed_at", "verified"),
        },
        "daily_counts": {"day", "kind", "name", "outcome", "count"},
        "periodic_runs": {"task", "slot", "claimed_at"},
        "findings": {"name", "count", "last_at"},
    }
    # Eight characters hold no name.
    assert ASSETS.c.suffix.type.length == 8
