"""What a long history costs: submit, claim and status beside 100,000 finished jobs, and beside ten.

Two databases on the same PostgreSQL, asked in turn. Each round of an action is many calls, for one takes less than a
clock shows well; no bytes and no messages, so that nothing but the tables is measured.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable

import sqlalchemy as sa

from benchmarks import crowd, report, servers
from mayfly.db import assets, backlog, claims, jobs
from mayfly.db.states import Retention, Stage, State
from mayfly.db.tables import JOBS
from mayfly.settings import Settings

FEW, MANY = 10, 100_000
HELD = 0.2  # of the jobs still have their result
ROUNDS = 15
CALLS = 40  # in a round
OWNERS = 50
HOUR = datetime.timedelta(hours=1)


class Place:
    """One database and its history."""

    def __init__(self, engine: sa.Engine, settings: Settings, over: int) -> None:
        self._engine = engine
        self._bounds = backlog.Bounds(
            owner_jobs=settings.owner_waiting_jobs,
            owner_bytes=settings.owner_waiting_bytes,
            jobs=settings.waiting_jobs,
            bytes=settings.waiting_bytes,
        )
        crowd.fill(engine, over=over, held=int(over * HELD))
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text("vacuum analyze"))
            done = sa.select(JOBS.c.id).where(JOBS.c.state == State.DONE.value).limit(CALLS)
            old = list(connection.execute(done).scalars())
        self._old = [old[number % len(old)] for number in range(CALLS)]
        self._waiting: list[uuid.UUID] = []
        self._held: list[claims.Claim] = []

    def submit(self) -> None:
        """Make jobs under keys, and queue them."""
        for number in range(CALLS):
            owner, key = f"owner-{number % OWNERS}", str(uuid.uuid4())
            request = jobs.Request(
                effect="anime",
                media="image",
                parameters={},
                suffix=".jpg",
                retention=Retention.INPUT,
                due_after=22 * HOUR,
                deadline_after=24 * HOUR,
                stage=Stage.EFFECT,
                owner=owner,
                idempotency_key=key,
                fingerprint=key,
            )
            job, asset = jobs.create(self._engine, request, lease=60, bounds=self._bounds)
            assert asset is not None
            jobs.mark_uploaded(self._engine, job.id, asset.id, size=7)
            self._waiting.append(job.id)

    def claim(self) -> None:
        """Find what is to be sent, as the outbox does, and claim it."""
        jobs.unsent(self._engine, limit=500)
        jobs.requeue_lapsed(self._engine)
        for job_id in self._waiting:
            claim = claims.take(self._engine, job_id, stage=Stage.EFFECT, holder="benchmark", lease=60)
            assert claim is not None
            self._held.append(claim)
        self._waiting.clear()

    def status(self) -> None:
        """Ask for single jobs, old and new, and for the newest."""
        for job_id in self._old:
            jobs.get(self._engine, job_id)
        for _ in range(CALLS // 4):
            jobs.recent(self._engine, limit=20)

    def sweep(self) -> None:
        """Look for what is due, as every minute, and count what exists."""
        for _ in range(CALLS // 4):
            assets.due(self._engine, limit=500)
            assets.jobs_of_due_inputs(self._engine, limit=500)
            assets.late(self._engine, seconds=180)
            assets.overdue(self._engine)

    def clear(self) -> None:
        """End what was claimed, so that each round finds the same."""
        for claim in self._held:
            jobs.end(self._engine, claim.job.id, to=State.CANCELLED)
            for asset in assets.of_job(self._engine, claim.job.id):
                assets.record_destruction(self._engine, asset, verified="absent")
        self._held.clear()


def main() -> dict[str, float]:
    """The ratios of each round's times, by their median."""
    settings = servers.settings()
    url = settings.resolved_database_url
    with servers.database(url) as few, servers.database(url) as many:
        short, long = Place(few, settings, FEW), Place(many, settings, MANY)
        actions: list[tuple[str, Callable[[Place], None], int]] = [
            ("submit", Place.submit, CALLS),
            ("claim", Place.claim, CALLS),
            ("status", Place.status, CALLS + CALLS // 4),
            ("look for what is due", Place.sweep, CALLS // 4),
            ("", Place.clear, 1),
        ]
        steps = [lambda place=place, work=work: work(place) for _, work, _ in actions for place in (short, long)]
        times = report.alternate(ROUNDS, *steps)
    figures = {"finished jobs": float(MANY), "finished jobs beside": float(FEW)}
    for number, (name, _, calls) in enumerate(actions):
        if name:
            beside, ours = times[2 * number], times[2 * number + 1]
            figures[f"{name}, ms"] = sorted(ours)[len(ours) // 2] / calls * 1000
            figures[f"{name}, ratio (at most 1.2)"] = report.median_ratio(ours, beside)
    return figures
