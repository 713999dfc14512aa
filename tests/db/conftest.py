"""Rows to test with."""

import functools
import uuid

import pytest
import sqlalchemy as sa

from mayfly.db import jobs
from mayfly.db.tables import JOBS
from tests import rows


@pytest.fixture
def create(engine):
    """Make a job that is uploading; returns what `jobs.create` does."""

    return functools.partial(rows.create, engine)


@pytest.fixture
def queued(engine, create):
    """Make a job whose input is stored; returns its id."""

    def make(**changes) -> uuid.UUID:
        job, asset = create(**changes)
        assert jobs.mark_uploaded(engine, job.id, asset.id, size=7)
        return job.id

    return make


@pytest.fixture
def row(engine):
    """Read a job's whole row as a mapping."""

    def read(job_id):
        with engine.connect() as connection:
            return dict(connection.execute(sa.select(JOBS).where(JOBS.c.id == job_id)).mappings().one())

    return read
