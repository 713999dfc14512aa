"""The engine: SQLite with a write-ahead log, private, forgetful, and with transactions that begin as writers."""

import contextlib
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mayfly.db import engine as engines
from mayfly.errors import FolderRefused


@pytest.fixture
def opened(tmp_path):
    engine = engines.connect(f"sqlite:///{tmp_path / 'home' / 'test.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("create table t (x integer)"))
    yield engine
    engine.dispose()


def test_its_folder_is_private(opened, tmp_path):
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_folder_that_others_may_enter_is_refused(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "file").write_text("x")
    (tmp_path / "home").chmod(0o755)
    with pytest.raises(FolderRefused, match="MAYFLY_HOME"):
        engines.connect(f"sqlite:///{tmp_path / 'home' / 'test.db'}")


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("secure_delete", 1), ("synchronous", 1)]
)
def test_every_connection_is_set_up(opened, pragma, value):
    with engines.reading(opened) as first, engines.reading(opened) as second:
        for connection in (first, second):
            assert connection.execute(sa.text(f"pragma {pragma}")).scalar() == value


def test_a_reader_waits_for_no_writer(opened):
    with opened.begin() as writer:
        writer.execute(sa.text("insert into t values (1)"))
        with engines.reading(opened) as reader:
            assert reader.execute(sa.text("select count(*) from t")).scalar() == 0
    with engines.reading(opened) as reader:
        assert reader.execute(sa.text("select count(*) from t")).scalar() == 1


def test_two_that_read_and_then_write_wait_for_each_other(opened):
    barrier = threading.Barrier(4, timeout=30)
    errors = []

    def increment():
        barrier.wait()
        try:
            for _ in range(20):
                with opened.begin() as connection:
                    found = connection.execute(sa.text("select count(*) from t")).scalar()
                    connection.execute(sa.text("insert into t values (:x)"), {"x": found})
        except sa.exc.OperationalError as error:
            errors.append(error)

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with engines.reading(opened) as connection:
        found = connection.execute(sa.text("select x from t order by x")).scalars().all()
    # Each transaction saw the ones before it: no count came twice.
    assert found == list(range(80))


def test_a_new_file_may_be_opened_by_several_at_once(tmp_path):
    def work(path):
        engine = engines.connect(f"sqlite:///{path}")
        barrier.wait()
        with engines.reading(engine) as connection:
            mode = connection.execute(sa.text("pragma journal_mode")).scalar()
        with engine.begin() as connection:
            connection.execute(sa.text("create table if not exists t (x integer)"))
            connection.execute(sa.text("insert into t values (1)"))
        engine.dispose()
        return mode

    barrier = threading.Barrier(4, timeout=30)
    with ThreadPoolExecutor(4) as pool:
        for turn in range(40):
            path = tmp_path / f"{turn}.db"
            # Whoever is refused without having waited raises.
            assert list(pool.map(work, [path] * 4, timeout=60)) == ["wal"] * 4
            with sqlite3.connect(path) as connection:
                assert connection.execute("select count(*) from t").fetchone() == (4,)
            connection.close()


def test_a_new_file_that_another_is_changing_is_waited_for(tmp_path):
    path = tmp_path / "new.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        # Whoever would change the journal now is refused at once, whatever its busy timeout.
        other.execute("begin immediate")
        end = threading.Timer(0.5, other.execute, ["commit"])
        end.start()
        engine = engines.connect(f"sqlite:///{path}")
        with engines.reading(engine) as connection:
            assert connection.execute(sa.text("pragma journal_mode")).scalar() == "wal"
        engine.dispose()
        end.join()


def test_what_is_rolled_back_is_gone(opened):
    with pytest.raises(RuntimeError), opened.begin() as connection:
        connection.execute(sa.text("insert into t values (1)"))
        raise RuntimeError
    with engines.reading(opened) as connection:
        assert connection.execute(sa.text("select count(*) from t")).scalar() == 0


def test_an_idle_connection_that_the_server_closed_is_replaced(postgresql, monkeypatch):
    monkeypatch.setattr(engines, "IDLE_SECONDS", 0.0)
    engine = engines.connect(postgresql.url.render_as_string(hide_password=False))
    with engines.reading(engine) as connection:
        first = connection.execute(sa.text("select pg_backend_pid()")).scalar()
    with engines.reading(postgresql) as other:
        other.execute(sa.text("select pg_terminate_backend(:pid, 5000)"), {"pid": first})
    with engines.reading(engine) as connection:
        assert connection.execute(sa.text("select pg_backend_pid()")).scalar() != first
    engine.dispose()


def test_room_that_was_made_after_the_error_hides_no_full_disk(opened, monkeypatch):
    def reason():
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        return engines._full(error, opened)

    monkeypatch.setattr(engines, "_full_at", float("-inf"))
    assert reason() is None
    monkeypatch.setattr(engines.room, "is_left", lambda _: False)
    assert reason() == engines.room.FULL_TEXT
    monkeypatch.setattr(engines.room, "is_left", lambda _: True)
    assert reason() == engines.room.FULL_TEXT
    monkeypatch.setattr(engines, "FULL_SECONDS", 0.0)
    assert reason() is None
