"""PostgreSQL never keeps anybody waiting without an end, knows who asks, and none of its errors repeats a value."""

import time
import traceback

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from mayfly import Client
from mayfly.cli.console import Exit
from mayfly.cli.main import app
from mayfly.client.errors import WaitTimeout
from mayfly.db import engine as engines
from mayfly.db import migrate, patience, postgres
from mayfly.db.errors import DatabaseMissing
from tests.faults.proxy import Proxy

LONG = 1e6  # seconds; a test in which only such a bound is left does not end
pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def line(servers):
    with Proxy.before(servers["MAYFLY_DATABASE_URL"]) as proxy:
        yield proxy
        proxy.resume()


@pytest.fixture
def opened(servers, line):
    engine = engines.connect(line.through(servers["MAYFLY_DATABASE_URL"]), part="test", connections=2)
    yield engine
    engine.dispose()


def ask(engine, text="select 1"):
    with engines.reading(engine) as connection:
        return connection.execute(sa.text(text)).scalar()


def test_it_knows_who_asks(opened):
    assert ask(opened, "select application_name from pg_stat_activity where pid = pg_backend_pid()") == "mayfly-test"


@pytest.mark.parametrize(
    ("name", "value"), [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "1min")]
)
def test_the_server_ends_what_takes_too_long(opened, name, value):
    assert ask(opened, f"show {name}") == value
    with opened.begin() as connection:
        assert connection.execute(sa.text(f"show {name}")).scalar() == value


def test_a_statement_that_takes_too_long_is_an_outage(opened, monkeypatch):
    monkeypatch.setattr(postgres, "STATEMENT_SECONDS", 1)
    with pytest.raises(DatabaseMissing, match="takes too long"):
        ask(opened, "select pg_sleep(100)")
    assert ask(opened) == 1


@pytest.mark.parametrize("when", ["at first", "later", "at the end of a transaction"])
def test_a_server_that_takes_questions_and_never_answers_is_given_up(opened, line, monkeypatch, when):
    bound = "CONNECT_SECONDS" if when == "at first" else "ANSWER_SECONDS"
    if when != "at first":
        ask(opened)
    monkeypatch.setattr(postgres, bound, 0.3)
    with pytest.raises(DatabaseMissing, match="does not answer"):
        if when == "at the end of a transaction":
            with opened.begin() as connection:
                connection.execute(sa.text("select 1"))
                line.stall()
        else:
            line.stall()
            ask(opened)
    monkeypatch.undo()
    line.resume()
    assert ask(opened) == 1


@pytest.mark.parametrize("connected", [False, True])
def test_whoever_waits_for_a_time_waits_no_longer(opened, line, monkeypatch, connected):
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", LONG)
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", LONG)
    if connected:
        ask(opened)
    line.stall()
    with pytest.raises(DatabaseMissing), patience.until(time.monotonic() + 0.3):
        ask(opened)
    line.resume()
    assert ask(opened) == 1


def test_an_idle_connection_is_asked_with_a_bound_of_its_own(opened, line, monkeypatch):
    ask(opened)
    monkeypatch.setattr(engines, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(postgres, "PING_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", LONG)
    line.stall()
    with pytest.raises(DatabaseMissing):
        ask(opened)


def test_what_may_take_long_is_not_cut(opened, monkeypatch):
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 0.1)
    with pytest.raises(DatabaseMissing):
        ask(opened, "select pg_sleep(0.5)")
    with patience.unhurried():
        assert ask(opened, "select pg_sleep(0.5) is null") is False


def test_a_migration_may_take_long(full, monkeypatch):
    engine = engines.connect(full.resolved_database_url)
    hurried = []
    monkeypatch.setattr(migrate, "revision", lambda _: None)
    monkeypatch.setattr(migrate, "upgrade", lambda connection: hurried.append(patience.end(1.0)))
    migrate.ensure(engine)
    monkeypatch.undo()
    assert hurried == [float("inf")]
    with engine.begin() as connection:
        migrate.upgrade(connection)
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(sa.text(f"show {name}")).scalar() == "0"
    engine.dispose()


@pytest.mark.parametrize("words", [["status", "--timeout", "0.5"], ["status", "--watch", "--timeout", "0.5"]])
def test_status_does_not_outlast_its_limit(full, line, monkeypatch, words):
    for name in ("CONNECT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(postgres, name, LONG)
    monkeypatch.setenv("MAYFLY_DATABASE_URL", line.through(full.resolved_database_url))
    line.stall()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == Exit.UNREACHABLE
    assert "database_unreachable" in done.stderr


def test_waiting_does_not_outlast_its_limit(full, line, monkeypatch):
    monkeypatch.setenv("MAYFLY_DATABASE_URL", line.through(full.resolved_database_url))
    with Client() as client:
        client.jobs()
        monkeypatch.setattr(postgres, "ANSWER_SECONDS", LONG)
        monkeypatch.setattr(postgres, "CONNECT_SECONDS", LONG)
        line.stall()
        with pytest.raises(WaitTimeout) as raised:
            client.wait("00000000-0000-0000-0000-000000000001", timeout=0.5)
        assert raised.value.unreachable == "database_unreachable"


def test_a_pool_that_is_used_up_is_an_outage(opened, monkeypatch):
    monkeypatch.setattr(opened.pool, "_timeout", 0.1)
    with opened.connect(), opened.connect(), pytest.raises(DatabaseMissing, match="all connections"):
        ask(opened)


def test_an_error_repeats_no_value(opened):
    with opened.begin() as connection:
        connection.execute(sa.text("create temporary table t (name text unique)"))
        insert, value = sa.text("insert into t values (:name)"), {"name": "-".join(["owner", "4711"])}
        connection.execute(insert, value)
        with pytest.raises(sa.exc.IntegrityError) as raised:
            connection.execute(insert, value)
    told = "".join(traceback.format_exception(raised.value))
    assert "owner-4711" not in told
    assert "t_name_key" in told  # what a person needs to find the mistake
    assert "23505" in told
