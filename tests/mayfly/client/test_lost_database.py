"""Something else lies in the embedded database's place, between two calls: each says so in a sentence."""

import io
import sqlite3

import pytest

from mayfly import Client, DatabaseMissing, DatabaseTooNew
from mayfly.client import upload
from mayfly.db.tables import Base

CALLS = {
    "submit": lambda client, photo, job: client.submit(photo, "pass-through"),
    "submit with a key": lambda client, photo, job: client.submit(photo, "pass-through", idempotency_key="k"),
    "submit_many": lambda client, photo, job: client.submit_many([photo], "pass-through"),
    "status": lambda client, photo, job: client.status(job),
    "jobs": lambda client, photo, job: client.jobs(),
    "result": lambda client, photo, job: client.result(job, io.BytesIO()),
    "cancel": lambda client, photo, job: client.cancel(job),
    "sweep": lambda client, photo, job: client.sweep(),
    "held": lambda client, photo, job: client.held(),
}


@pytest.fixture
def submitted(embedded, photo, monkeypatch):
    """A client that has submitted a job and is at rest."""
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 0.0)
    with Client(embedded) as client:
        job = client.submit(photo, "pass-through")
        client.close()
        yield client, job


def lose_tables(file):
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def damage(file):
    file.write_bytes(b"no database" * 5000)


@pytest.mark.parametrize("lose", [lose_tables, damage])
@pytest.mark.parametrize("name", CALLS)
def test_a_database_that_is_lost_between_two_calls(submitted, photo, name, lose):
    client, job = submitted
    lose(client.settings.home / "mayfly.db")
    with pytest.raises(DatabaseMissing, match="the database's tables are gone, or it is damaged"):
        CALLS[name](client, photo, job)


def test_a_server_without_our_tables_says_so(full):
    with Client(full) as client:
        client.jobs()
        with client._engine.begin() as connection:
            Base.metadata.drop_all(connection)
            connection.exec_driver_sql("drop table alembic_version")
        try:
            with pytest.raises(DatabaseMissing, match="the database's tables are gone"):
                client.jobs()
        finally:
            with Client(full) as again:
                assert again.jobs() == []


def test_the_tables_of_a_newer_version_are_left_alone(submitted):
    client, _ = submitted
    with sqlite3.connect(client.settings.home / "mayfly.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    with Client(client.settings) as other, pytest.raises(DatabaseTooNew) as raised:
        other.jobs()
    assert raised.value.code == "database_too_new"
