"""A producer is told when too much waits, and when to come back; nothing is stored of what was refused."""

import io
import json

import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from typer.testing import CliRunner

from mayfly import Client, Settings
from mayfly.cli import console
from mayfly.cli.console import Exit
from mayfly.cli.main import app
from mayfly.client.errors import PartlySubmitted
from mayfly.db.errors import Overloaded
from mayfly.db.tables import JOBS
from tests import clock

BOUNDS = ("owner_waiting_jobs", "owner_waiting_bytes", "waiting_jobs", "waiting_bytes")


@pytest.mark.parametrize("name", BOUNDS)
def test_each_bound_is_kept_before_a_byte_is_stored(embedded, photo, name):
    with Client(embedded) as client:
        client.submit(photo, "sleep", owner="owner-4711")
    one = photo.stat().st_size if name.endswith("bytes") else 1
    with Client(embedded.model_copy(update={name: one})) as client:
        with pytest.raises(Overloaded) as raised:
            client.submit(photo, "sleep", owner="owner-4711")
        assert (raised.value.code, raised.value.retry_after) == ("overloaded", 5)
        assert len(client.jobs()) == 1
        assert len(list(client._store.objects())) == 1
        if name.startswith("owner"):
            client.submit(photo, "sleep", owner="another")
            client.submit(photo, "sleep")


@pytest.mark.parametrize("name", BOUNDS)
def test_the_settings_name_a_bound_that_lets_something_wait(monkeypatch, name):
    assert getattr(Settings(), name) >= 1000
    monkeypatch.setenv(f"MAYFLY_{name.upper()}", "0")
    with pytest.raises(ValidationError):
        Settings()


def test_the_command_says_when_to_come_back(embedded, photo, monkeypatch):
    monkeypatch.setenv("MAYFLY_WAITING_JOBS", "1")
    done = CliRunner().invoke(app, ["submit", "sleep", str(photo), str(photo), "--json"], env={"COLUMNS": "200"})
    assert done.exit_code == Exit.UNREACHABLE
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["state"] == "queued"
    assert (second["job"], second["error"], second["retry_after"]) == (None, "overloaded", 5)
    assert "try again in 5 s" in done.stderr


def test_of_several_uploads_it_is_said_as_of_one(embedded, photo, monkeypatch):
    monkeypatch.setattr("mayfly.client.many.UPLOADS", 1)
    with Client(embedded.model_copy(update={"waiting_jobs": 2})) as client:
        with pytest.raises(PartlySubmitted, match="try again in 5 s") as raised:
            client.submit_many([photo] * 4, "sleep")
        assert (raised.value.code, raised.value.retry_after, raised.value.position) == ("overloaded", 5, 3)
        assert [job.id for job in raised.value.submitted] == [job.id for job in reversed(client.jobs())]
        # It passes by itself, as the command line has it.
        assert console.status_of(raised.value) == Exit.UNREACHABLE


class Broken(io.BytesIO):
    """A picture whose bytes end in an error."""

    def read(self, size=-1):
        if self.tell() > 1_000_000:
            raise OSError("gone")
        return super().read(size)


def test_of_what_does_not_pass_nothing_says_when(embedded, photo, monkeypatch):
    monkeypatch.setattr("mayfly.client.many.UPLOADS", 1)
    with Client(embedded) as client, pytest.raises(PartlySubmitted) as raised:
        client.submit_many([photo, Broken(b"\xff\xd8\xff" + bytes(4_000_000))], "sleep")
    assert (raised.value.code, raised.value.retry_after) == ("invalid_source", None)
    assert console.status_of(raised.value) == Exit.USAGE


def test_what_was_counted_is_shown_by_day(embedded, photo):
    from mayfly.purge import history

    with Client(embedded) as client:
        client.cancel(client.submit(photo, "sleep"))
        with client._engine.begin() as connection:
            connection.execute(sa.update(JOBS).values(emptied_at=clock.after(-60)))
        assert history.sweep(client._engine, life=30) == 1
    done = CliRunner().invoke(app, ["purge", "history", "--json"])
    assert done.exit_code == Exit.DONE
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["kind"], line["name"], line["outcome"], line["count"]) for line in found] == [
        ("job", "sleep", "cancelled", 1),
        ("receipt", "input", "in_time", 1),
    ]
