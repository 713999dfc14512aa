"""What must be destroyed now, on a stage, and whether it was."""

from __future__ import annotations

import io

import sqlalchemy as sa

from mayfly.db import engine as engines
from mayfly.db.tables import ASSETS
from tests import clock, rows
from tests.integration.stage import Stage


def overdue(stage: Stage) -> sa.Uuid:
    """An asset that is due now."""
    changes = {"effect": "pass-through", "parameters": {}, "owner": None, "consent": None, "lease": 600}
    _, asset = rows.create(stage.engine, due_at=clock.after(0), **changes)
    assert asset is not None
    assert asset.key is not None
    stage.store.put(asset.key, io.BytesIO(b"bytes"), 5)
    # Of what is still being written, the writer's lease comes first.
    rows.set_asset(stage.engine, asset.id, state="stored", size=5)
    return asset.id


def destroyed(stage: Stage, asset: sa.Uuid) -> bool:
    """Whether an asset has been destroyed."""
    with engines.reading(stage.engine) as connection:
        state = connection.execute(sa.select(ASSETS.c.state).where(ASSETS.c.id == asset)).scalar_one()
    return state == "destroyed"
