"""Each query of the hot path has its index: the planners of both databases are asked, beside 100,000 finished jobs."""

import contextlib
import itertools
import re

import pytest
import sqlalchemy as sa

from benchmarks import crowd
from mayfly.db import assets, backlog, claims, dead_letters, history, jobs, migrate, periodic, segments
from mayfly.db import engine as engines
from mayfly.db.states import UNFINISHED, Retention, Stage, State
from tests import databases, rows

BIG = ("jobs", "assets", "segments")
# What may be read from end to end: the newest from the index's end as far as the limit goes, and what waits or exists
# where all of it is to be counted.
WHOLE = {
    "the newest": {"ix_jobs_created_at_id"},
    "of state done": {"ix_jobs_created_at_id"},
    # Few, which are put in order.
    **{
        f"of state {state}{page}": {"ix_jobs_owner_input_bytes_created_at", "ix_jobs_sent_at_created_at"}
        for state in UNFINISHED
        for page in ("", ", the next page")
    },
    "a bounded submit": {"ix_jobs_owner_input_bytes_created_at"},
    "a bounded submit of nobody": {"ix_jobs_owner_input_bytes_created_at"},
    "unfinished": {"ix_jobs_owner_input_bytes_created_at"},
    "inputs that are due": {"ix_jobs_owner_input_bytes_created_at"},
    "claim, renew, hand back, retry": {"ix_jobs_owner_input_bytes_created_at"},  # beside the two that it needs
    "held": {"ix_assets_due_at_retention", "ix_assets_deadline_at_retention"},
}
LIVE = crowd.OVER + 1  # numbers of living jobs begin here
QUEUED = LIVE + crowd.LIVE["uploading"] + 1  # one that is no video


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crowded(request, tmp_path_factory):
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            address = f"sqlite:///{tmp_path_factory.mktemp('crowd') / 'test.db'}"
        else:
            servers = request.getfixturevalue("servers")
            address = stack.enter_context(databases.created(servers["MAYFLY_DATABASE_URL"]))
        opened = engines.connect(address)
        migrate.ensure(opened)
        crowd.fill(opened)
        yield opened
        opened.dispose()


@pytest.fixture
def plans(crowded):
    """What the planner says of each statement that is executed: its text and the lines of its plan."""
    found = []
    sqlite = crowded.dialect.name == "sqlite"
    explain = "explain query plan " if sqlite else "explain "

    def ask(_connection, cursor, statement, parameters, _context, executemany):
        if re.match(r"\s*(select|update|insert|delete|with)\b", statement, re.IGNORECASE):
            cursor.execute(explain + statement, parameters[0] if executemany else parameters)
            found.append((statement, [str(row[-1]) for row in cursor.fetchall()]))

    sa.event.listen(crowded, "before_cursor_execute", ask)
    yield found
    sa.event.remove(crowded, "before_cursor_execute", ask)


def read_whole(lines):
    """What is read from end to end, by the lines of a plan: big tables, and indexes of them."""
    for line, after in itertools.pairwise([*lines, ""]):
        # SQLite
        scan = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", line)
        if scan and scan[1] in BIG:
            yield scan[2] or scan[1]
        # PostgreSQL
        if (scan := re.search(r"Seq Scan on (\w+)", line)) and scan[1] in BIG:
            yield scan[1]
        used = re.search(r"Index (?:Only )?Scan(?: Backward)? using (\w+) on (\w+)|Bitmap Index Scan on (\w+)", line)
        if used and "Index Cond" not in after:
            yield used[1] or used[3]


def owned(engine, key, owner="owner-1"):
    return rows.create(engine, owner=owner, idempotency_key=key, fingerprint="f")


def claimed(engine):
    claim = claims.take(engine, crowd.identity(QUEUED), stage=Stage.EFFECT, holder="a", lease=60)
    assert claim is not None
    return claim


def work(engine):
    claim = claimed(engine)
    assert claims.extend(engine, claim, done=0)
    assert claims.holds(engine, claim)
    assert claims.hand_back(engine, claim, outcome="stopped")
    assert claims.wait(engine, claimed(engine), delay=0, outcome="failed")
    assert crowd.identity(QUEUED) in jobs.requeue_lapsed(engine)


def work_at_segments(engine):
    job_id = crowd.identity(LIVE + crowd.LIVE["uploading"])
    claim = segments.take(engine, job_id, 0, holder="a", lease=60)
    assert claim is not None
    assert segments.extend(engine, claim, done=1)
    assert segments.holds(engine, claim)
    assert segments.hand_back(engine, claim, outcome="stopped")


def last_of(engine):
    job = jobs.get(engine, crowd.identity(7))
    return job.created_at, job.id


def whole_life(engine):
    job, asset = rows.create(engine, media="image", stage=Stage.EFFECT)
    assert jobs.extend_upload(engine, job.id, asset.id, lease=60)
    jobs.mark_sent(engine, [jobs.mark_uploaded(engine, job.id, asset.id, size=7)])
    claim = claims.take(engine, job.id, stage=Stage.EFFECT, holder="a", lease=60)
    with engine.begin() as connection:
        result = assets.reserve(
            connection,
            job.id,
            retention=Retention.RESULT,
            suffix=".jpg",
            attempt=1,
            due_after=rows.HOUR,
            deadline_after=rows.HOUR,
            lease=60,
        )
    for asset in claims.finish(engine, claim, result_id=result.id, size=7):
        assets.record_destruction(engine, asset, verified="absent")
    assert jobs.get(engine, job.id).state is State.DONE


WIDE = backlog.Bounds(owner_jobs=10**6, owner_bytes=10**9, jobs=10**6, bytes=10**9)
HOT = {
    "submit": lambda engine: rows.create(engine),
    "submit with a key": lambda engine: owned(engine, "k"),
    "submit with a known key": lambda engine: (owned(engine, "l"), owned(engine, "l")),
    "submit with a known key of nobody": lambda engine: [owned(engine, "m", owner=None) for _ in range(2)],
    "a whole life": whole_life,
    "claim, renew, hand back, retry": work,
    "the same of segments": work_at_segments,
    "a bounded submit": lambda engine: rows.create(engine, bounds=WIDE),
    "a bounded submit of nobody": lambda engine: rows.create(engine, owner=None, bounds=WIDE),
    "rows whose term is over": lambda engine: history.forget(engine, life=9 * 86_400, limit=5),
    "status": lambda engine: jobs.get(engine, crowd.identity(7)),
    "the newest": lambda engine: jobs.recent(engine, limit=20),
    "the next page": lambda engine: jobs.recent(engine, limit=20, after=last_of(engine)),
    "of an owner": lambda engine: jobs.recent(engine, limit=20, owner="owner-7"),
    "of an owner, the next page": lambda engine: jobs.recent(engine, limit=5, owner="owner-7", after=last_of(engine)),
    **{f"of state {state}": lambda engine, state=state: jobs.recent(engine, limit=20, state=state) for state in State},
    **{
        f"of state {state}, the next page": lambda engine, state=state: jobs.recent(
            engine, limit=20, state=state, after=last_of(engine)
        )
        for state in State
    },
    "of an owner in a state": lambda engine: jobs.recent(engine, limit=20, owner="owner-7", state=State.FAILED),
    "of a key": lambda engine: jobs.recent(engine, limit=1, owner="owner-7", key="key-7"),
    "of a key of nobody": lambda engine: jobs.recent(engine, limit=1, key="key-7"),
    "many to their end": lambda engine: jobs.finished(engine, [crowd.identity(number) for number in range(1, 50)]),
    "unfinished": jobs.unfinished,
    "unsent": lambda engine: jobs.unsent(engine, limit=500),
    "unsent segments": lambda engine: segments.unsent(engine, limit=500),
    "unsent segments, one a job": lambda engine: segments.unsent(engine, limit=500, one_a_job=True),
    "lost messages": lambda engine: jobs.sent_long_ago(engine, seconds=60, limit=500),
    "lost messages of segments": lambda engine: segments.sent_long_ago(engine, seconds=60, limit=500),
    "abandoned uploads": jobs.abandoned_uploads,
    "lapsed segments": segments.requeue_lapsed,
    "cancel": lambda engine: jobs.end(engine, crowd.identity(QUEUED + 3), to=State.CANCELLED),
    "a dead letter": lambda engine: dead_letters.return_dead_letter(engine, crowd.identity(QUEUED + 5), limit=10),
    "inputs that are due": lambda engine: assets.jobs_of_due_inputs(engine, limit=5),
    "due": lambda engine: assets.due(engine, limit=500),
    "due of a job": lambda engine: assets.due(engine, limit=500, job_id=crowd.identity(7)),
    "assets of a job": lambda engine: assets.of_job(engine, crowd.identity(7)),
    "receipts of a job": lambda engine: assets.receipts(engine, [crowd.identity(7)]),
    "held": assets.held,
    "late": lambda engine: assets.late(engine, seconds=180),
    "overdue": assets.overdue,
    "a slot": lambda engine: periodic.claim(engine, "a", period=10),
    "the last slot": lambda engine: periodic.seconds_since(engine, "a"),
}


@pytest.mark.parametrize("what", HOT)
def test_no_hot_query_reads_a_whole_table(crowded, plans, what):
    HOT[what](crowded)
    assert plans
    for statement, lines in plans:
        assert set(read_whole(lines)) <= WHOLE.get(what, set()), "\n".join([statement, *lines])
