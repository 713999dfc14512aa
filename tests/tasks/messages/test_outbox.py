"""The outbox finds every job that nothing moves any more."""

import dataclasses

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs
from mayfly.db.states import Stage, State
from mayfly.db.tables import SEGMENTS
from mayfly.tasks.messages import outbox
from tests import clock, rows


@pytest.fixture
def full(rt):
    """The same runtime with settings that are not embedded."""
    urls = {"broker_url": "amqp://x", "database_url": "postgresql+psycopg://h/x", "storage_url": "s3://k:s@h/x"}
    return dataclasses.replace(rt, settings=type(rt.settings)(**urls))


def test_what_was_never_sent_is_sent(rt, job):
    job_id = job()
    outbox.resend(rt)
    assert rt.sender.sent == [job_id]
    outbox.resend(rt)
    assert rt.sender.sent == [job_id]


def test_while_the_broker_is_away_it_stays_unsent(rt, job):
    job_id = job()
    rt.sender.away = True
    outbox.resend(rt)
    rt.sender.away = False
    outbox.resend(rt)
    assert rt.sender.sent == [job_id]


def test_an_abandoned_upload_fails_and_its_bytes_go(rt, job, change):
    dead, alive = job(upload=False), job(upload=False)
    change(dead, lease_until=clock.after(-1))
    rows.set_asset(rt.engine, assets.of_job(rt.engine, dead)[0].id, lease_until=clock.after(-1))
    outbox.resend(rt)
    found = jobs.get(rt.engine, dead)
    assert (found.state, found.error, found.parameters) == (State.FAILED, "upload_abandoned", None)
    assert "submit it again" in found.error_text
    assert len(assets.receipts(rt.engine, [dead])) == 1
    assert jobs.get(rt.engine, alive).state is State.UPLOADING
    (left,) = rt.store.objects()
    assert str(alive) in left.key
    assert rt.sender.sent == []


def test_an_upload_that_is_completed_when_it_is_given_up_is_queued(rt, job, monkeypatch):
    job_id = job()
    # As when its producer was quicker than the outbox, which has read the table already.
    monkeypatch.setattr(jobs, "abandoned_uploads", lambda _: [job_id])
    outbox.resend(rt)
    assert jobs.get(rt.engine, job_id).state is State.QUEUED
    assert len(list(rt.store.objects())) == 1


def test_a_lapsed_job_and_a_due_retry_are_queued_and_sent(rt, job, change):
    lapsed, ready, lives = job(), job(), job()
    found = {one: claims.take(rt.engine, one, stage=Stage.INGEST, holder="h", lease=60) for one in (lapsed, ready)}
    claims.take(rt.engine, lives, stage=Stage.INGEST, holder="h", lease=60)
    change(lapsed, lease_until=clock.after(-1))
    claims.wait(rt.engine, found[ready], delay=-1, outcome="x")
    outbox.resend(rt)
    assert set(rt.sender.sent) == {lapsed, ready}
    assert jobs.get(rt.engine, lives).state is State.RUNNING


def test_what_was_confirmed_long_ago_is_sent_again_however_long_the_queue(full, job, change):
    lost, waiting = job(), job()
    jobs.mark_sent(full.engine, [jobs.get(full.engine, one) for one in (lost, waiting)])
    outbox.resend(full)
    assert full.sender.sent == []  # confirmed just now
    change(lost, sent_at=clock.after(-outbox.LOST_SECONDS - 1))
    outbox.resend(full)
    assert full.sender.sent == [lost]
    outbox.resend(full)
    assert full.sender.sent == [lost]


def test_so_many_are_sent_at_once(full, job, cut, monkeypatch):
    monkeypatch.setattr(outbox, "BATCH", 2)
    waiting, cuts = [job() for _ in range(3)], [cut() for _ in range(2)]
    outbox.send_unsent(full)
    assert full.sender.sent == [*waiting[:2], (cuts[0], 0), (cuts[0], 1)]
    full.sender.sent.clear()
    outbox.send_unsent(full)
    assert full.sender.sent == [waiting[2], (cuts[1], 0), (cuts[1], 1)]


def test_an_embedded_worker_gets_one_segment_of_a_job(rt, cut):
    found = [cut(), cut()]
    for _ in range(2):
        outbox.resend(rt)
        assert set(rt.sender.sent) == {(job_id, 0) for job_id in found}


def test_segments_that_were_confirmed_long_ago_are_sent_again(full, cut):
    job_id = cut()
    outbox.resend(full)
    full.sender.sent.clear()
    with full.engine.begin() as connection:
        lost = sa.update(SEGMENTS).where(SEGMENTS.c.number == 1)
        connection.execute(lost.values(sent_at=clock.after(-outbox.LOST_SECONDS - 1)))
    outbox.resend(full)
    assert full.sender.sent == [(job_id, 1)]


def test_each_further_message_comes_after_twice_the_time(full, job, change):
    one = job()
    change(one, queued_at=clock.after(-250), sent_at=clock.after(-100))
    outbox.resend(full)
    assert full.sender.sent == []  # the last came after 150 s
    change(one, queued_at=clock.after(-250), sent_at=clock.after(-130))
    outbox.resend(full)
    assert full.sender.sent == [one]


def test_after_an_outage_leases_are_renewed_before_they_lapse(rt, job, change):
    job_id = job()
    claims.take(rt.engine, job_id, stage=Stage.INGEST, holder="h", lease=60)
    change(job_id, lease_until=clock.after(-1))
    rt.outages.note()
    outbox.resend(rt)
    assert jobs.get(rt.engine, job_id).state is State.RUNNING


def test_a_lost_job_whose_effect_is_not_here_stops_no_other(full, job, change):
    elsewhere, lost = job(effect="elsewhere"), job()
    claim = claims.take(full.engine, elsewhere, stage=Stage.INGEST, holder="h", lease=60)
    claims.advance(full.engine, claim, to=Stage.EFFECT, units_total=1)
    for one in (elsewhere, lost):
        change(one, sent_at=clock.after(-outbox.LOST_SECONDS - 1))
    outbox.resend(full)
    # The sender knows who has an effect.
    assert set(full.sender.sent) == {elsewhere, lost}
