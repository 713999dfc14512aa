"""A database with a long history: 100,000 jobs that are over, and a few that live, made in seconds by the server."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import sqlalchemy as sa

from mayfly.db import clock
from mayfly.db.tables import ASSETS, JOBS, SEGMENTS

OVER = 100_000
HELD = 20_000  # whose results exist
LIVE = {  # how many live jobs there are in each state; their numbers go on after those that are over
    "uploading": 20,
    "queued": 40,  # of which every other one is sent
    "running": 20,
    "waiting": 20,
}
LAPSED = 100.0  # seconds since the leases of the living were over, and since their messages were sent
_INPUT, _RESULT = 1 << 28, 2 << 28  # added to a job's number, for the ids of what belongs to it


def identity(number: int) -> uuid.UUID:
    """The id of a job by its number, from 1."""
    return uuid.UUID(int=number)


def input_of(number: int) -> uuid.UUID:
    """The id of a job's input."""
    return uuid.UUID(int=number + _INPUT)


def fill(engine: sa.Engine, *, over: int = OVER, held: int = HELD) -> None:
    """Make `over` jobs that are done, of which `held` still have their result, and the living; then count all."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("pragma cache_size=-200000"))
        else:
            _drop_foreign_keys(connection)
        _over(connection, over, held)
        number = over
        for state, count in LIVE.items():
            _live(connection, state, range(number + 1, number + count + 1))
            number += count
        connection.execute(sa.text("analyze"))


def _drop_foreign_keys(connection: sa.Connection) -> None:
    """PostgreSQL looks each one up for each row, which would take most of the time."""
    for table in (ASSETS, SEGMENTS):
        for key in sa.inspect(connection).get_foreign_keys(table.name):
            connection.execute(sa.text(f"alter table {table.name} drop constraint {key['name']}"))


def _over(connection: sa.Connection, count: int, held: int) -> None:
    numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < count))
    n = numbers.c.n
    # Moments as constants: to compute one for each row would take most of the time.
    now = datetime.datetime.now(datetime.UTC)
    then, later = now - datetime.timedelta(days=10), now + datetime.timedelta(days=4)

    def insert(table: sa.Table, values: dict[str, Any], *, where: sa.ColumnElement[bool] | None = None) -> None:
        typed = [sa.literal(value, table.c[name].type) if _is_plain(value) else value for name, value in values.items()]
        rows = sa.select(*typed).select_from(numbers).where(sa.true() if where is None else where)
        connection.execute(sa.insert(table).from_select(list(values), rows))

    job = {"id": _id(connection, n), "effect": "anime", "media": "image", "state": "done", "stage": "effect"}
    job |= {"created_at": then, "finished_at": then, "sent_at": then, "queued_at": then}
    job |= {"attempt": 1, "tries": 1, "units_done": 1, "units_total": 1}
    emptied, lives = n > held, n <= held
    insert(JOBS, job | {"emptied_at": then}, where=emptied)
    personal = {"owner": _text("owner-", n % 1000), "idempotency_key": _text("key-", n)}
    insert(JOBS, job | personal, where=lives)
    asset = {"job_id": job["id"], "size": 100_000, "suffix": ".jpg", "created_at": then}
    gone = {"id": _id(connection, n + _INPUT), "retention": "input", "state": "destroyed"}
    insert(ASSETS, asset | gone | {"due_at": then, "deadline_at": then})
    result = {"id": _id(connection, n + _RESULT), "retention": "result", "state": "stored", "key": _text("result/", n)}
    insert(ASSETS, asset | result | {"due_at": later, "deadline_at": later}, where=lives)
    segment = {"job_id": job["id"], "number": 0, "state": "done", "attempt": 1, "tries": 1, "units_done": 1}
    segment |= {"sent_at": then, "window": sa.literal_column("'{}'"), "piece_id": _id(connection, n + _INPUT)}
    insert(SEGMENTS, segment | {"returns": 0, "dead_letters": 0})


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | datetime.datetime)


def _live(connection: sa.Connection, state: str, numbers: range) -> None:
    for number in numbers:
        sent = state != "queued" or number % 2
        leased = state in ("uploading", "running")
        own = {
            "created_at": clock.after(-LAPSED),
            "lease_until": clock.after(-LAPSED) if leased else None,
            "retry_at": clock.after(-1) if state == "waiting" else None,
            "sent_at": clock.after(-LAPSED) if sent else None,
        }
        unit = {"state": state, "attempt": 1, "holder": "holder" if state == "running" else None}
        job = {"id": identity(number), "effect": "anime", "media": "image", "stage": "effect", "owner": "owner-1"}
        connection.execute(sa.insert(JOBS).values(**job, **unit, **own, input_bytes=1000))
        asset = {"id": input_of(number), "job_id": identity(number), "retention": "input", "suffix": ".jpg"}
        asset |= {"state": "pending" if state == "uploading" else "stored", "key": f"input/{number}"}
        terms = {"due_at": clock.after(3600), "deadline_at": clock.after(7200)}
        connection.execute(sa.insert(ASSETS).values(**asset, **terms, created_at=clock.after(-LAPSED)))
        if state == "uploading":
            continue
        # The first job of each state is in segments.
        for piece in range(10 if number == numbers[0] else 0):
            segment = {"job_id": identity(number), "number": piece, "window": {}, "piece_id": input_of(number)}
            segment_moments = {name: own[name] for name in ("lease_until", "retry_at", "sent_at")}
            connection.execute(sa.insert(SEGMENTS).values(**segment, **unit, **segment_moments))
        if number == numbers[0]:
            in_segments = {"stage": "segments", "state": "running", "lease_until": None, "holder": None}
            connection.execute(sa.update(JOBS).where(JOBS.c.id == identity(number)).values(**in_segments))


def _id(connection: sa.Connection, number: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    if connection.dialect.name == "sqlite":
        return sa.func.printf("%032x", number)
    return sa.cast(sa.func.lpad(sa.func.to_hex(sa.cast(number, sa.BigInteger)), 32, "0"), sa.Uuid)


def _text(start: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    return sa.literal(start) + sa.cast(number, sa.String)
