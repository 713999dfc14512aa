"""Whatever goes wrong, a command says it in a sentence, with the right exit code and nothing personal or secret."""

import os
import shlex
import signal
import subprocess
import time
import traceback
import urllib.parse
import uuid

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from mayfly import Client
from mayfly.cli.main import app
from mayfly.client import upload
from mayfly.db.errors import DatabaseMissing
from mayfly.effects import registry
from mayfly.settings import Settings
from tests import databases
from tests.conftest import mayfly

PRIVATE = ("owner-4711", "consent-4711", "key-4711", "4.711")
REFERENCES = ["--owner", "owner-4711", "--consent", "consent-4711", "--key", "key-4711", "-p", "seconds=4.711"]
DONE, FAILED, USAGE, UNREACHABLE, INTERNAL = range(5)
# Nobody works on the servers of these tests, so `purge status` may say that nobody sweeps: it answers.
ANSWERS = {"purge status": (DONE, FAILED)}


@pytest.fixture
def run(monkeypatch, photo):
    """Run a command in this process, by its words; PHOTO and OUT stand for files. Checks what holds for every end."""
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 0.5)

    def call(words, *, secrets=(), lines=3):
        arguments = [str(photo) if word == "PHOTO" else word for word in shlex.split(words)]
        if arguments[0] == "submit":
            arguments += REFERENCES
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        unexpected = "".join(traceback.format_exception(done.exception)) if done.exception else ""
        assert isinstance(done.exception, SystemExit | None), unexpected
        said = done.stderr
        assert "Traceback" not in said
        assert len(said.splitlines()) <= lines, said
        assert not [word for word in (*PRIVATE, *secrets) if word in said + done.stdout], said
        return done.exit_code, said

    return call


COMMANDS = (
    "effects",
    "submit sleep PHOTO",
    "status",
    "status JOB",
    "result JOB --out OUT",
    "cancel JOB",
    "purge run",
    "purge status",
    "models list",
    "doctor",
)
DATABASE = [words for words in COMMANDS if words not in ("effects", "models list", "doctor")]


@pytest.fixture
def environment(servers, monkeypatch):
    """Set the addresses of the full set-up, with changes, and return what is secret in them."""

    def change(**urls):
        for name, value in (servers | urls).items():
            monkeypatch.setenv(name, value)
        values = [value for name, value in (servers | urls).items() if name.endswith("_URL")]
        return [secret for value in values if (secret := urllib.parse.urlsplit(value).password)]

    return change


def replaced(url, **parts):
    """A database's URL with other parts."""
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)


def commands(job, tmp_path, wanted=COMMANDS):
    return [words.replace("JOB", job).replace("OUT", str(tmp_path / "x.jpg")) for words in wanted]


@pytest.mark.parametrize(
    "change", [{"port": 1}, {"host": "no-such-host.invalid"}, {"database": "nope"}, {"password": "x"}]
)
def test_a_database_that_is_not_there(servers, environment, run, tmp_path, change):
    secrets = environment(MAYFLY_DATABASE_URL=replaced(servers["MAYFLY_DATABASE_URL"], **change))
    for words in commands(str(uuid.uuid4()), tmp_path, DATABASE):
        code, said = run(words, secrets=[secret for secret in secrets if secret != "x"])
        assert (code, "database_unreachable" in said) == (UNREACHABLE, True), (words, said)
    assert run("doctor", lines=12)[0] == UNREACHABLE
    assert run("effects", lines=1000)[0] == DONE


def test_a_database_that_takes_no_writing(servers, environment, run, tmp_path, photo):
    with databases.created(servers["MAYFLY_DATABASE_URL"]) as address:
        secrets = environment(MAYFLY_DATABASE_URL=address)
        with Client() as client:
            job = client.submit(photo, "pass-through").id
        opened = sa.create_engine(address, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with opened.connect() as connection:
            connection.execute(
                sa.text(f'alter database "{opened.url.database}" set default_transaction_read_only = on')
            )
        expected = {"submit": UNREACHABLE, "cancel": UNREACHABLE, "result": USAGE}
        for words in commands(job, tmp_path, DATABASE):
            code, said = run(words, secrets=secrets, lines=8)
            wanted = ANSWERS.get(words, (expected.get(words.split()[0], DONE),))
            assert code in wanted, (words, said)
            if code == UNREACHABLE:
                assert "takes no writing" in said


def test_a_home_on_a_read_only_mount(embedded, photo, tmp_path):
    with Client(embedded) as client:
        job = client.submit(photo, "pass-through").id
    home = embedded.home
    mount = f"mount --bind {home} {home} && mount -o remount,ro,bind {home}"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    for words in commands(job, tmp_path, ["status", "cancel JOB"]):
        command = shlex.join([mayfly(), *words.split()])
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f"{mount} && exec {command}"],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == UNREACHABLE, (words, done.stderr)
        assert "database_unreachable" in done.stderr
        assert len(done.stderr.splitlines()) <= 3
        assert not [word for word in PRIVATE if word in done.stderr]


def test_a_database_that_is_damaged(embedded, run, tmp_path):
    embedded.home.mkdir(mode=0o700)
    (embedded.home / "mayfly.db").write_bytes(b"this is no database" * 1000)
    for words in commands(str(uuid.uuid4()), tmp_path, DATABASE):
        code, said = run(words)
        assert code in (UNREACHABLE, INTERNAL), (words, said)


def test_a_home_that_is_a_file(embedded, run, tmp_path):
    embedded.home.write_bytes(b"")
    for words in commands(str(uuid.uuid4()), tmp_path, DATABASE):
        code, said = run(words)
        assert code == USAGE
        assert "folder_refused" in said


@pytest.mark.parametrize("part", ["host", "port", "password", "virtual host"])
def test_a_broker_at_a_wrong_address_is_found_out_before_the_upload(servers, environment, run, photo, part):
    right = servers["MAYFLY_BROKER_URL"]
    user, _, rest = right.removeprefix("amqp://").partition("@")
    wrong = {
        "host": f"amqp://{user}@no-such-host.invalid:5672/x",
        "port": f"amqp://{user}@127.0.0.1:1/x",
        "password": f"amqp://{user.split(':')[0]}:geheim@{rest}",
        "virtual host": right.rpartition("/")[0] + "/no-such-virtual-host",
    }
    secrets = environment(MAYFLY_BROKER_URL=wrong[part])
    with Client() as client:
        before = client.jobs(limit=1000)
    code, said = run("submit sleep PHOTO", secrets=["geheim", *secrets], lines=4)
    if part == "port":
        # Nobody listens there now; it may be back soon.
        assert (code, "the broker does not answer" in said) == (DONE, True)
    else:
        assert (code, "broker_refused" in said) == (UNREACHABLE, True), said
        with Client() as client:
            assert client.jobs(limit=1000) == before
        # As a process of its own, where nobody catches what libraries log.
        done = subprocess.run([mayfly(), "submit", "sleep", str(photo)], capture_output=True, text=True, check=False)
        assert (done.returncode, len(done.stderr.splitlines())) == (UNREACHABLE, 1), done.stderr
    for words in ("status", "purge status"):
        assert run(words, lines=100)[0] in ANSWERS.get(words, (DONE,))


def test_a_store_that_refuses(servers, environment, run):
    right = servers["MAYFLY_STORAGE_URL"]
    key, _, rest = right.removeprefix("s3://").partition(":")
    secrets = environment(MAYFLY_STORAGE_URL=f"s3://{key}:geheim@{rest.partition('@')[2]}")
    code, said = run("submit sleep PHOTO", secrets=["geheim", *secrets])
    assert (code, "storage_unreachable" in said) == (UNREACHABLE, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAYFLY_BROKER_URL", "amqp://user:geheim@127.0.0.1:99999/x"),
        ("MAYFLY_BROKER_URL", "amqp://user:geheim@127.0.0.1:port/x"),
        ("MAYFLY_BROKER_URL", "redis://user:geheim@127.0.0.1/x"),
        ("MAYFLY_BROKER_URL", "amqp:///x"),
        ("MAYFLY_BROKER_URL", "geheim"),
        ("MAYFLY_DATABASE_URL", "mysql://user:geheim@127.0.0.1/x"),
        ("MAYFLY_DATABASE_URL", "postgres://user:geheim@127.0.0.1:0/x"),
        ("MAYFLY_DATABASE_URL", "postgres://user:geheim@127.0.0.1"),
        ("MAYFLY_DATABASE_URL", "postgres://user:ge/heim@127.0.0.1/x"),
        ("MAYFLY_STORAGE_URL", "s3://user:geheim@127.0.0.1"),
        ("MAYFLY_STORAGE_URL", "s3://127.0.0.1/x"),
        ("MAYFLY_STORAGE_URL", "https://user:geheim@127.0.0.1/x"),
    ],
)
def test_an_address_that_is_none(environment, run, tmp_path, name, value):
    environment(**{name: value})
    for words in commands(str(uuid.uuid4()), tmp_path):
        code, said = run(words, secrets=["geheim", "heim"])
        assert (code, name in said) == (USAGE, True), (words, said)


def test_postgres_is_taken_for_what_it_is(servers, environment, run):
    right = servers["MAYFLY_DATABASE_URL"]
    assert right.startswith("postgresql+psycopg://")
    for scheme in ("postgres", "postgresql"):
        environment(MAYFLY_DATABASE_URL=right.replace("postgresql+psycopg", scheme))
        assert run("purge status", lines=100)[0] in ANSWERS["purge status"]


@pytest.fixture
def faulty(monkeypatch):
    """An effect whose check of parameters has a fault, with a message that tells too much."""
    fault = ValueError("owner-4711 sent 4.711")

    def parameters(*_):
        try:
            raise KeyError("consent-4711")
        except KeyError as error:
            raise fault from error

    monkeypatch.setattr(registry, "parameters", parameters)


def test_a_mistake_of_our_own_is_a_sentence(embedded, run, faulty):
    code, said = run("submit sleep PHOTO")
    assert (code, "internal_error" in said, "ValueError" in said) == (INTERNAL, True, True)


def test_debug_shows_where_and_no_value(embedded, photo, faulty):
    done = CliRunner().invoke(app, ["--debug", "submit", "sleep", str(photo), *REFERENCES], env={"COLUMNS": "200"})
    assert done.exit_code == INTERNAL
    assert "test_tracebacks.py" in done.stderr and "in parameters" in done.stderr
    assert "KeyError" in done.stderr and "ValueError" in done.stderr
    assert not [word for word in PRIVATE if word in done.stderr]


def test_ctrl_c_is_quiet(embedded, photo):
    # Long enough to be still at it, whatever else the machine does.
    command = [mayfly(), "submit", "sleep", str(photo), *REFERENCES, "-p", "seconds=60", "--wait"]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        waiting.stderr.readline()
        time.sleep(0.5)
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert waiting.returncode == 130
    assert "Traceback" not in said


def test_python_gets_our_errors(servers, photo):
    variables = servers | {"MAYFLY_DATABASE_URL": replaced(servers["MAYFLY_DATABASE_URL"], port=1)}
    given = {name.removeprefix("MAYFLY_").lower(): value for name, value in variables.items()}
    client = Client(Settings(**given))
    job = str(uuid.uuid4())
    for call in (
        lambda: client.submit(photo, "pass-through"),
        lambda: client.submit_many([photo], "pass-through"),
        lambda: client.status(job),
        client.jobs,
        lambda: client.wait(job),
        lambda: list(client.as_completed([job])),
        lambda: client.result(job, "x"),
        lambda: client.previews(job, "x"),
        lambda: client.cancel(job),
        client.sweep,
        client.held,
    ):
        with pytest.raises(DatabaseMissing):
            call()
