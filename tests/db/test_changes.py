"""What is written to SQLite is told: at once in this process, and from another by the file's version."""

import sqlite3
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from mayfly.db import changes
from mayfly.db import engine as engines
from mayfly.db.changes import Changes
from mayfly.db.errors import DatabaseMissing


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def engine(url):
    opened = engines.connect(url)
    with opened.begin() as connection:
        connection.execute(sa.text("create table notes (text)"))
    yield opened
    opened.dispose()


def write(engine):
    with engine.begin() as connection:
        connection.execute(sa.text("insert into notes values ('x')"))


def count(engine):
    with engines.reading(engine) as connection:
        return connection.execute(sa.text("select count(*) from notes")).scalar_one()


def test_the_first_look_is_always_wanted_and_then_only_what_changed(engine):
    seen = Changes(engine)
    assert seen.wait(0)
    assert not seen.wait(0)
    write(engine)
    assert seen.wait(0)
    assert not seen.wait(0)
    seen.close()
    assert seen.wait(0)


def test_reading_is_no_change_and_wakes_nobody(engine):
    event, seen = changes.subscribe(), Changes(engine)
    seen.wait(0)
    event.clear()
    assert count(engine) == 0
    assert not event.is_set()
    assert not seen.wait(0)


def test_a_write_of_this_process_wakes_at_once_and_is_there(engine, url):
    seen, found = Changes(engine), []
    seen.wait(0)

    def look():
        # Woken by nothing but the write: the test's time limit is shorter.
        if seen.wait(10_000):
            found.append(count(engine))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    # A producer of this process has an engine of its own.
    other = engines.connect(url)
    write(other)
    other.dispose()
    thread.join(60)
    assert found == [1]


def test_a_write_of_another_process_is_seen(engine, url):
    seen = Changes(engine)
    seen.wait(0)
    script = f"import sqlite3; c = sqlite3.connect({url.removeprefix('sqlite:///')!r}); "
    script += "c.execute(\"insert into notes values ('x')\"); c.commit()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert seen.wait(0)
    assert not seen.wait(0)


def test_what_was_rolled_back_wakes_nobody(engine):
    event = changes.subscribe()
    event.clear()
    with engine.connect() as connection:
        connection.execute(sa.text("insert into notes values ('x')"))
        connection.rollback()
    assert not event.is_set()


def test_a_file_that_cannot_be_read_is_an_outage_and_new_afterwards(engine, monkeypatch):
    seen = Changes(engine)
    seen.wait(0)

    def refuse():
        raise sqlite3.OperationalError("disk I/O error")

    seen.close()
    with monkeypatch.context() as patched:
        patched.setattr(engine, "raw_connection", refuse)
        with pytest.raises(DatabaseMissing) as raised:
            seen.wait(0)
    assert "I/O" not in str(raised.value)
    assert seen.wait(0)


def test_waiting_is_ended_by_whoever_stops(engine):
    seen = Changes(engine)
    seen.wait(0)
    thread = threading.Thread(target=seen.wait, args=(10_000,), daemon=True)
    thread.start()
    seen.wake()
    thread.join(60)
    assert not thread.is_alive()
