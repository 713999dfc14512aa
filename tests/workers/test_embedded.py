"""The embedded worker: one a home, and it takes up what the one before has left."""

import pytest

from db import claims, jobs
from db import engine as engines
from db.states import Stage, State
from mayfly.client import Client
from settings import Settings
from tests import clock
from workers.embedded import AlreadyRunning, Embedded


def test_it_is_not_for_servers():
    urls = {"broker_url": "amqp://x", "database_url": "postgresql+psycopg://x", "storage_url": "s3://x"}
    with pytest.raises(ValueError, match="embedded"):
        Embedded(Settings(**urls))


def test_one_a_home_and_the_next_takes_up_what_is_left(embedded, photo):
    with Client(embedded) as client:
        first, second = (client.submit(photo, "pass-through") for _ in range(2))
        # A worker that was killed: one job claimed for an hour, one message confirmed and gone with its process.
        engine = engines.connect(embedded.resolved_database_url)
        row = jobs.get(engine, claims.uuid.UUID(first.id))
        assert claims.take(engine, row.id, stage=Stage.EFFECT, holder="elsewhere:1:1.0:1", lease=3600)
        jobs.mark_sent(engine, [jobs.get(engine, claims.uuid.UUID(second.id))])
        (embedded.home / "scratch").mkdir()
        (embedded.home / "scratch" / "film.mp4").write_bytes(b"x")
        with Embedded(embedded):
            assert not (embedded.home / "scratch" / "film.mp4").exists()
            with pytest.raises(AlreadyRunning) as raised:
                Embedded(embedded).start()
            assert raised.value.code == "already_running"
            for job in (first, second):
                assert client.wait(job, timeout=60).state is State.DONE
        assert not (embedded.home / "scratch").exists()
        assert jobs.get(engine, row.id).finished_at < clock.now()
        engine.dispose()
        with Embedded(embedded):
            assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE
