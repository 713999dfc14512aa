"""Assets that could not be destroyed: put off one by one, so that none is in another's way, and never given up."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection

import sqlalchemy as sa

from mayfly.db import clock
from mayfly.db import engine as engines
from mayfly.db.states import AssetState
from mayfly.db.tables import ASSETS

FIRST_SECONDS = 60
"""Until the second try; each further one comes after twice the time."""
MOST_SECONDS = 3600

_DOUBLED = next(n for n in range(99) if FIRST_SECONDS << n >= MOST_SECONDS)
_WAIT = sa.case(
    *((ASSETS.c.tries == n, float(FIRST_SECONDS << n)) for n in range(_DOUBLED)),
    else_=float(MOST_SECONDS),
)
# What somebody else destroys just now is left to them.
_FREE = (
    sa.select(ASSETS.c.id)
    .where(ASSETS.c.id.in_(sa.bindparam("assets", expanding=True)), ASSETS.c.state != AssetState.DESTROYED.value)
    .order_by(ASSETS.c.id)
    .with_for_update(skip_locked=True)
)
_PUT_OFF = (
    sa.update(ASSETS).where(ASSETS.c.id.in_(_FREE)).values(tries=ASSETS.c.tries + 1, next_try_at=clock.after(_WAIT))
)
_REFUSED = sa.select(sa.func.count(), sa.func.min(ASSETS.c.due_at)).where(
    ASSETS.c.state != AssetState.DESTROYED.value, ASSETS.c.tries > 0
)


def put_off(engine: sa.Engine, asset_ids: Collection[uuid.UUID]) -> None:
    """Note that these could not be destroyed; the next try is due in FIRST_SECONDS to MOST_SECONDS, by their tries."""
    with engine.begin() as connection:
        connection.execute(_PUT_OFF, {"assets": list(asset_ids)})


def count(engine: sa.Engine) -> tuple[int, datetime.datetime | None]:
    """How many assets that exist could not be destroyed when it was tried, and since when the oldest of them is due."""
    with engines.reading(engine) as connection:
        number, oldest = connection.execute(_REFUSED).one()
    return number, oldest
