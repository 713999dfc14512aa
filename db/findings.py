"""What a sweep looks for and mends though it should never be there; that it ever was is kept, and shown."""

from __future__ import annotations

import dataclasses
import datetime

import sqlalchemy as sa

from mayfly.db import clock
from mayfly.db import engine as engines
from mayfly.db.tables import FINDINGS

LEFT_BEHIND = "personal fields left behind"

_COUNT = (
    sa.update(FINDINGS)
    .where(FINDINGS.c.name == sa.bindparam("of_name"))
    .values(count=FINDINGS.c.count + sa.bindparam("more"), last_at=clock.now())
)
_GET = sa.select(FINDINGS.c.count, FINDINGS.c.last_at).where(FINDINGS.c.name == sa.bindparam("of_name"))


@dataclasses.dataclass(frozen=True)
class Finding:
    """How often something was found and mended, and when last."""

    count: int
    last_at: datetime.datetime


def note(connection: sa.Connection, name: str, number: int) -> None:
    """Count what was found, in the transaction that mends it."""
    none_yet = engines.insert_or_skip(connection.engine, FINDINGS).values(name=name, count=0, last_at=clock.now())
    connection.execute(none_yet)
    connection.execute(_COUNT, {"of_name": name, "more": number})


def get(engine: sa.Engine, name: str) -> Finding | None:
    """What was ever found of this; None when nothing was."""
    with engines.reading(engine) as connection:
        row = connection.execute(_GET, {"of_name": name}).one_or_none()
    return None if row is None else Finding(row[0], row[1])
