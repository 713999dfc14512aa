"""No server's password is seen in a process's title, a log, the server's list of connections or what doctor says."""

import contextlib
import urllib.parse

import psutil
import pytest
import sqlalchemy as sa

from mayfly.db import engine as engines
from tests.integration.stage import Stage


@pytest.fixture(scope="module")
def secrets(busy: Stage) -> set[str]:
    urls = [value for name, value in busy.variables.items() if name.endswith("_URL")]
    found = {password for url in urls if (password := urllib.parse.urlsplit(url).password)}
    assert len(found) >= 3  # of the broker, the database and the store
    return found | {urllib.parse.unquote(secret) for secret in found}


def test_no_process_shows_one_in_its_title(busy: Stage, secrets: set[str]):
    titles = []
    for process in busy.processes:
        for member in process.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                titles.append(" ".join(member.cmdline()))
    assert len(titles) > len(busy.processes)  # supervisors have services, and those children
    assert not [title for title in titles if any(secret in title for secret in secrets)]


def test_no_log_shows_one(busy: Stage, secrets: set[str]):
    for process in busy.processes:
        assert not [secret for secret in secrets if secret in process.text], process.log


@pytest.mark.parametrize("name", ["broker_url", "database_url", "storage_url"])
def test_doctor_shows_none_of_a_server_that_answers_or_not(busy: Stage, secrets: set[str], name: str):
    url = urllib.parse.urlsplit(busy.variables[f"MAYFLY_{name.upper()}"])
    userinfo = url.netloc.rpartition("@")[0]
    away = url._replace(netloc=f"{userinfo}@127.0.0.1:1").geturl()
    done = busy.run("doctor", "--json", **{name: away})
    said = done.stdout + done.stderr
    assert name.partition("_")[0] in said
    assert not [secret for secret in secrets if secret in said]


def test_the_database_knows_its_clients_by_their_part(busy: Stage, secrets: set[str]):
    with engines.reading(busy.engine) as connection:
        query = sa.text("select distinct application_name from pg_stat_activity where datname = current_database()")
        names = set(connection.execute(query).scalars())
    assert "mayfly-worker" in names
    assert all(name.startswith("mayfly-") for name in names), names
