"""The command line on the embedded set-up: what it prints for programs, and its exit codes."""

import json
import os
import subprocess
import urllib.parse
import uuid

import pytest
import sqlalchemy as sa
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from PIL import Image
from typer.testing import CliRunner

from mayfly import Client
from mayfly.cli.main import app
from mayfly.db import engine as engines
from mayfly.db import jobs
from mayfly.db.states import State
from mayfly.db.tables import ASSETS
from mayfly.media import storage
from mayfly.workers import scratch
from tests import clock
from tests.conftest import mayfly


@pytest.fixture
def run(embedded):
    """Run `mayfly` as a process; returns exit code, JSON lines of standard output, and standard error."""

    def call(*arguments, **environment):
        command = [mayfly(), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return call


@pytest.fixture
def quick(embedded, monkeypatch):
    """The same in this process, for what needs no process of its own."""

    def call(*arguments, **environment):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            # Broken lines would hide what is looked for.
            done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return call


def test_submit_wait_and_write(run, quick, photo, clip, tmp_path):
    out = tmp_path / "out"
    code, lines, _ = run("submit", "pass-through", photo, clip, "--wait", "--out", out, "--json")
    assert code == 0
    assert [line.keys() for line in lines] == [{"job", "state", "effect", "result", "error"}] * 4
    # A line as soon as there is a job, and another when it has ended.
    queued, ended = lines[:2], sorted(lines[2:], key=lambda line: line["job"] != lines[0]["job"])
    assert [(line["state"], line["result"]) for line in queued] == [("queued", None)] * 2
    assert [line["job"] for line in queued] == [line["job"] for line in ended]
    for line, source in zip(ended, (photo, clip), strict=True):
        assert (line["state"], line["effect"], line["error"]) == ("done", "pass-through", None)
        assert line["result"] == str(out / f"{source.stem}-pass-through-{line['job'][:8]}{source.suffix}")
    with Image.open(ended[0]["result"]) as result:
        assert result.size == (512, 512)
    assert len(list(out.iterdir())) == 2

    code, [found], _ = quick("status", lines[0]["job"], "--json")
    assert (code, found["state"], found["progress"]) == (0, "done", 1.0)
    assert quick("result", lines[0]["job"], "--out", tmp_path / "again.jpg")[0] == 0
    assert (tmp_path / "again.jpg").read_bytes() == (out / ended[0]["result"]).read_bytes()


def test_a_job_that_fails_is_exit_code_1(run, photo, tmp_path):
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(photo.read_bytes()[:20_000])
    code, lines, err = run("submit", "pass-through", damaged, photo, "--wait", "--json")
    assert code == 1
    assert [(line["state"], line["error"]) for line in lines[:2]] == [("queued", None)] * 2
    ended = {line["job"]: (line["state"], line["error"]) for line in lines[2:]}
    assert [ended[line["job"]] for line in lines[:2]] == [("failed", "damaged_media"), ("done", None)]
    assert "Traceback" not in err


def test_the_result_of_a_failed_job_is_exit_code_1_whatever_its_code(quick, photo, embedded, tmp_path):
    with Client(embedded) as client:
        for code in ("storage_unreachable", "damaged_media"):
            job = client.submit(photo, "pass-through")
            jobs.end(client._engine, uuid.UUID(job.id), to=State.FAILED, error=code, error_text="it did not work")
            exit_code, _, err = quick("result", job.id, "--out", tmp_path / "x.jpg")
            assert exit_code == 1
            assert f"{code}: it did not work" in err
        job = client.submit(photo, "pass-through")
        assert quick("result", job.id, "--out", tmp_path / "x.jpg")[0] == 2
        client.cancel(job)
        assert quick("result", job.id, "--out", tmp_path / "x.jpg")[0] == 1


def test_waiting_has_an_end_and_tells_the_job(quick, photo):
    code, [line], _ = quick("submit", "pass-through", photo, "--json")
    code, [found], err = quick("status", line["job"], "--watch", "--timeout", "0.3", "--json")
    assert (code, found["job"], found["state"]) == (5, line["job"], "queued")
    assert "wait_timeout" in err


def test_waiting_for_a_submit_has_an_end_too(run, photo):
    code, lines, err = run("submit", "sleep", photo, "-p", "seconds=60", "--wait", "--timeout", "1", "--json")
    assert code == 5
    assert len({line["job"] for line in lines}) == 1
    assert [line["error"] for line in lines] == [None, "wait_timeout"]
    assert lines[0]["job"] in err


def test_people_see_the_id_at_once(embedded, photo):
    command = [mayfly(), "submit", "sleep", str(photo), "-p", "seconds=60", "--wait"]
    waiting = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = waiting.stderr.readline()
        with Client(embedded) as client:
            (job,) = client.jobs()
            assert line.startswith(job.id)
            assert not job.state.final
    finally:
        waiting.kill()
        waiting.communicate(timeout=30)


def test_a_reader_that_has_enough_is_no_error(quick, run, photo, embedded):
    with Client(embedded) as client:
        for _ in range(20):
            client.submit(photo.read_bytes(), "pass-through")
    command = f"set -o pipefail; for i in 1 2 3; do {mayfly()} effects --json; done | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["submit", "nope", "PHOTO"], "unknown_effect"),
        (["submit", "enhance", "PHOTO", "-p", "scale=9"], "invalid_parameters"),
        (["submit", "enhance", "PHOTO", "-p", "scale"], "NAME=VALUE"),
        (["submit", "pass-through", "PHOTO", "PHOTO", "--key", "k"], "one file"),
        (["submit", "pass-through", "/nowhere/x.jpg"], "invalid_source"),
        (["status", "no-id"], "unknown_job"),
        (["result", "no-id", "--out", "x"], "unknown_job"),
        (["cancel", "no-id"], "unknown_job"),
        (["beat"], "usage"),
        (["worker"], "usage"),
        (["frobnicate"], "frobnicate"),
        (["submit"], "Missing argument"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_wrong_usage_or_input_is_exit_code_2(quick, photo, arguments, error):
    code, lines, err = quick(*(photo if argument == "PHOTO" else argument for argument in arguments))
    assert (code, lines) == (2, [])
    assert error in err
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_written_is_exit_code_2(quick, photo, embedded):
    code, lines, err = quick("submit", "pass-through", photo, "--out", photo)
    assert (code, lines) == (2, [])
    assert "output_not_writable" in err
    assert Client(embedded).jobs() == []


def test_refused_input_is_exit_code_2_and_one_line_for_each_file(run, tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    code, lines, _ = run("submit", "anime", tmp_path / "empty.jpg", tmp_path / "text.jpg", "--json")
    assert code == 2
    assert lines == [
        {"job": None, "state": None, "effect": "anime", "result": None, "error": error}
        for error in ("empty_file", "unsupported_media")
    ]


def test_a_bad_setting_is_exit_code_2_without_its_value(quick):
    code, _, err = quick("status", MAYFLY_INPUT_RETENTION="8640000")
    assert code == 2
    assert "MAYFLY_INPUT_RETENTION" in err and "8640000" not in err
    code, _, err = quick("status", MAYFLY_BROKER_URL="amqp://user:geheim@127.0.0.1:1/x")
    assert code == 2
    assert "geheim" not in err


def test_a_service_that_is_away_is_exit_code_3(quick, photo):
    urls = {
        "MAYFLY_BROKER_URL": "amqp://user:geheim@127.0.0.1:1/x",
        "MAYFLY_DATABASE_URL": "postgresql+psycopg://user:geheim@127.0.0.1:1/x",
        "MAYFLY_STORAGE_URL": "s3://user:geheim@127.0.0.1:1/x?secure=false",
    }
    for arguments in (["submit", "pass-through", photo], ["status"], ["purge", "status"]):
        code, _, err = quick(*arguments, **urls)
        assert code == 3
        assert "unreachable" in err
        assert "geheim" not in err and "Traceback" not in err


def test_status_lists_by_owner_state_and_page(quick, photo):
    told = [quick("submit", "pass-through", photo, "--owner", owner, "--json")[1][0]["job"] for owner in "aba"]

    def listed(*options):
        code, found, _ = quick("status", "--json", *options)
        assert code == 0
        return [line["job"] for line in found]

    assert listed("--owner", "a") == [told[2], told[0]]
    assert listed("--limit", "2") == [told[2], told[1]]
    assert listed("--limit", "2", "--after", told[1]) == [told[0]]
    quick("cancel", told[1])
    assert listed("--state", "cancelled") == [told[1]]


def test_effects(run):
    code, lines, _ = run("effects", "--json")
    assert code == 0
    found = {line["effect"]: line for line in lines}
    assert {"anime", "enhance", "pass-through", "sleep"} <= set(found)
    assert found["sleep"]["parameters"]["seconds"]["maximum"] == 3600
    assert (found["enhance"]["tag"], found["enhance"]["locality"]) == ("gpu", "server")
    assert found["enhance"]["media"] == ["image", "video"]


def test_cancel_and_status(quick, photo, embedded):
    code, [line], _ = quick("submit", "pass-through", photo, "--owner", "o-1", "--json")
    assert (code, line["state"], line["result"]) == (0, "queued", None)
    assert quick("cancel", line["job"])[0] == 0
    code, [found], _ = quick("status", "--json")
    assert (code, found["job"], found["state"]) == (0, line["job"], "cancelled")
    assert list(storage.connect(embedded.resolved_storage_url).objects()) == []


def test_purge_tells_what_is_overdue_and_destroys_it(quick, photo, embedded):
    with Client(embedded) as client:
        client.submit(photo, "pass-through")
        code, [found], _ = quick("purge", "status", "--json")
        assert code == 0
        assert found["held"]["input"] == 1 and not any(found["overdue"].values())
        with client._engine.begin() as connection:
            past = clock.after(-1)
            connection.execute(sa.update(ASSETS).values(due_at=past, deadline_at=past))
        code, [found], _ = quick("purge", "status", "--json")
        assert (code, found["overdue"]["input"]) == (1, 1)
        code, [found], _ = quick("purge", "run", "--json")
        assert (code, found) == (0, {"destroyed": 1, "failed": 0})
        assert client.jobs()[0].error == "expired"
        assert quick("purge", "status")[0] == 0


@pytest.mark.parametrize("setup", ["embedded", "full"])
def test_purge_removes_what_dead_workers_left(quick, embedded, request, tmp_path, setup):
    place = embedded.home / "scratch"
    if setup == "full":
        variables = request.getfixturevalue("servers") | {"MAYFLY_SCRATCH": str(tmp_path / "scratch")}
        place = tmp_path / "scratch"
    slot = scratch.Slot.take(place)
    (slot.path / "film.mp4").write_bytes(b"x")
    os.close(slot._lock)
    assert quick("purge", "run", **(variables if setup == "full" else {}))[0] == 0
    assert not slot.path.exists()


def test_doctor_says_what_is_wrong_with_a_bucket(quick, servers):
    url = urllib.parse.urlsplit(servers["MAYFLY_STORAGE_URL"])._replace(path=f"/test-{uuid.uuid4().hex[:12]}").geturl()
    store = storage.connect(url)
    store.prepare()
    rule = (
        "<Rule><ID>theirs</ID><Status>Enabled</Status><Prefix></Prefix><Expiration><Days>3</Days></Expiration></Rule>"
    )
    store.client.ask(
        "PUT", store.bucket, "lifecycle", f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>".encode()
    )
    try:
        _, lines, _ = quick("doctor", "--json", **servers | {"MAYFLY_STORAGE_URL": url, "MAYFLY_MODELS_URL": url})
        found = {line["check"]: line for line in lines}
        assert not found["storage"]["ok"] and not found["models"]["ok"]
        assert "theirs" in found["storage"]["detail"] and "result/" in found["storage"]["detail"]
        assert "models/" in found["models"]["detail"]
        store.client.ask("DELETE", store.bucket, "lifecycle")
        store.client.set_bucket_versioning(store.bucket, VersioningConfig(ENABLED))
        _, lines, _ = quick("doctor", "--json", **servers | {"MAYFLY_STORAGE_URL": url, "MAYFLY_MODELS_URL": url})
        found = {line["check"]: line for line in lines}
        assert found["storage"]["ok"] and "every version is destroyed" in found["storage"]["detail"]
        assert found["models"] == {"check": "models", "ok": True, "detail": "answers; nobody has shared a model"}
        # What it tried is gone, in every version.
        assert list(store.client.list_objects(store.bucket, recursive=True, include_version=True)) == []
    finally:
        store.client.remove_bucket(store.bucket)


def test_purge_status_says_that_nobody_destroys_what_is_due(quick, embedded, photo):
    code, _, _ = quick("submit", "pass-through", photo)
    assert code == 0
    assert quick("purge", "status")[0] == 0
    with engines.connect(embedded.resolved_database_url).begin() as connection:
        connection.execute(sa.update(ASSETS).values(due_at=clock.after(-600), lease_until=None))
    code, lines, text = quick("purge", "status", "--json")
    assert (code, lines[0]["sweep"]["late"], lines[0]["sweep"]["ok"]) == (1, 1, False)
    assert "mayfly up" in text
    code, lines, _ = quick("doctor", "--json")
    wrong = {line["check"]: line["detail"] for line in lines if not line["ok"]}
    assert code == 3
    assert wrong.keys() == {"sweep", "worker"}
    assert "1 jobs wait" in wrong["worker"]
    assert quick("purge", "run")[0] == 0
    assert quick("purge", "status")[0] == 0


def test_doctor_of_the_embedded_set_up(quick):
    code, lines, _ = quick("doctor", "--json")
    assert code == 0
    working = {line["check"] for line in lines if line["ok"]}
    assert working == {"broker", "database", "storage", "sweep", "worker", "ffmpeg", "confinement", "devices"}
