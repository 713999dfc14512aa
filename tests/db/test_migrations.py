"""Migrations: from nothing to the declared tables, and back, on both databases."""

import subprocess
import sys
import uuid

import alembic.autogenerate
import alembic.command
import alembic.config
import alembic.migration
import alembic.script
import pytest
import sqlalchemy as sa

from mayfly.db import engine as engines
from mayfly.db import jobs, migrate
from mayfly.db.errors import DatabaseMissing
from mayfly.db.moment import Moment
from mayfly.db.tables import JOBS, Base
from tests import rows


@pytest.fixture
def empty(database_url):
    engine = engines.connect(database_url)
    yield engine
    engine.dispose()


def same_type(_context, _inspected_column, _metadata_column, inspected, declared):
    """A Moment is what its implementation is; None leaves the rest to alembic."""
    if isinstance(declared, Moment):
        return not isinstance(inspected, sa.DateTime)
    return None


def differences(engine):
    with engine.connect() as connection:
        options = {"compare_type": same_type, "compare_server_default": True}
        context = alembic.migration.MigrationContext.configure(connection, opts=options)
        return alembic.autogenerate.compare_metadata(context, Base.metadata)


def config(connection):
    found = alembic.config.Config()
    found.set_main_option("script_location", str(migrate.MIGRATIONS))
    found.attributes["connection"] = connection
    return found


def test_head_is_alembics_head():
    heads = alembic.script.ScriptDirectory.from_config(config(None)).get_heads()
    assert heads == [migrate.HEAD]


def test_from_an_empty_database_to_the_declared_tables(empty):
    assert migrate.revision(empty) is None
    assert differences(empty) != []
    migrate.ensure(empty)
    assert migrate.revision(empty) == migrate.HEAD
    assert differences(empty) == []


def test_ensuring_again_changes_nothing(empty):
    migrate.ensure(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("insert into periodic_runs values ('a', 1, '2026-01-01 00:00:00+00')"))
    migrate.ensure(empty)
    with empty.connect() as connection:
        assert connection.execute(sa.text("select count(*) from periodic_runs")).scalar() == 1


def test_down_and_up_again(empty):
    migrate.ensure(empty)
    with empty.begin() as connection:
        alembic.command.downgrade(config(connection), "base")
    assert sa.inspect(empty).get_table_names() == ["alembic_version"]
    assert migrate.revision(empty) is None
    migrate.ensure(empty)
    assert differences(empty) == []


def test_titles_of_chapters_that_were_kept_are_blanked(empty):
    migrate.ensure(empty)
    job, _ = rows.create(empty)
    old = {"source": {"width": 1, "chapters": ["SECRET", ""]}, "container": "MP4"}
    with empty.begin() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(video=old))
        alembic.command.downgrade(config(connection), "0003")
    migrate.ensure(empty)
    assert jobs.get(empty, job.id).video == {"source": {"width": 1, "chapters": ["", ""]}, "container": "MP4"}


def test_rows_of_before_have_their_term_from_their_last_receipt_on(empty):
    with empty.begin() as connection:
        alembic.command.upgrade(config(connection), "0003")
    ids = {name: uuid.uuid4().hex for name in ("emptied", "held", "living")}
    moment = "2026-01-01 00:00:00+00"
    with empty.begin() as connection:
        for name, job in ids.items():
            state = "running" if name == "living" else "done"
            connection.execute(
                sa.text(
                    "insert into jobs (id, effect, media, state, stage, created_at, attempt, tries, units_done) "
                    "values (:id, 'anime', 'image', :state, 'effect', :at, 1, 1, 1)"
                ),
                {"id": job, "state": state, "at": moment},
            )
            connection.execute(
                sa.text(
                    "insert into assets (id, job_id, retention, state, suffix, created_at, due_at, deadline_at) "
                    "values (:id, :job, 'input', :state, '.jpg', :at, :at, :at)"
                ),
                {
                    "id": uuid.uuid4().hex,
                    "job": job,
                    "state": "stored" if name == "held" else "destroyed",
                    "at": moment,
                },
            )
            connection.execute(
                sa.text(
                    "insert into receipts"
                    " (id, asset_id, job_id, retention, due_at, deadline_at, destroyed_at, verified)"
                    " values (:id, :asset, :job, 'input', :at, :at, :at, 'absent')"
                ),
                {"id": uuid.uuid4().hex, "asset": uuid.uuid4().hex, "job": job, "at": moment},
            )
    migrate.ensure(empty)
    with empty.connect() as connection:
        found = dict(connection.execute(sa.select(JOBS.c.id, JOBS.c.emptied_at)).all())
    emptied = found[uuid.UUID(ids["emptied"])]
    assert (emptied.year, emptied.month, emptied.day) == (2026, 1, 1)
    assert [found[uuid.UUID(ids[name])] for name in ("held", "living")] == [None, None]


def test_an_upgrade_that_fails_leaves_nothing_behind(empty):
    with empty.begin() as connection:
        # In the way of the last table that the first revision makes.
        connection.execute(sa.text("create table attempts (x integer)"))
    with pytest.raises(sa.exc.DBAPIError):
        migrate.ensure(empty)
    assert sa.inspect(empty).get_table_names() == ["attempts"]


ENSURE = """
import sys
from mayfly.db import engine, migrate
opened = engine.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate.ensure(opened)
print(migrate.revision(opened))
"""


def test_processes_that_ensure_at_once_wait_for_each_other(empty, database_url):
    command = [sys.executable, "-c", ENSURE, database_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out) == (0, f"{migrate.HEAD}\n"), err
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert differences(empty) == []


def test_a_database_that_does_not_answer_is_said_in_our_words():
    engine = engines.connect("postgresql+psycopg://somebody:secret@127.0.0.1:1/none")
    with pytest.raises(DatabaseMissing) as raised:
        migrate.ensure(engine)
    assert raised.value.code == "database_unreachable"
    assert "secret" not in str(raised.value)
