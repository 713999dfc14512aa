"""What a message of ours looks like: the sender's and beat's are, and nothing that differs from them."""

import json
import uuid

import pytest

from mayfly.settings import Settings
from mayfly.tasks.app import create
from mayfly.tasks.messages import envelope, queues
from mayfly.tasks.messages.envelope import Unit, is_ours, unit

JOB = uuid.UUID("10755dce-1c7a-4e7e-a39d-076d14e83f42")
TASKS = {"ingest", "join", "effects.anime", *queues.PERIODIC, "celery.map"}
PROPERTIES = {"content_type": "application/json", "content_encoding": "utf-8"}


@pytest.fixture(scope="module")
def app():
    return create(Settings())


def made(app, name="effects.anime", args=(str(JOB),), **options):
    """Headers and body as Celery makes them."""
    message = app.amqp.as_task_v2(str(uuid.uuid4()), name, args=args, argsrepr="-", kwargsrepr="-", **options)
    return message.headers, json.dumps(message.body)


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("ingest", (str(JOB),), {}),
        ("join", (str(JOB),), {"soft_time_limit": 300.0}),
        ("effects.anime", (str(JOB),), {"ignore_result": True}),
        ("effects.anime", (str(JOB), 0), {}),
        ("effects.anime", (str(JOB), envelope.MAX_NUMBER), {}),
        ("purge.sweep", (), {"expires": 60.0}),
        ("purge.sweep", (), {}),
    ],
)
def test_what_we_send_is_ours(app, name, args, options):
    headers, body = made(app, name, args, **options)
    assert is_ours(headers, PROPERTIES, body, tasks=TASKS)
    assert is_ours(headers, PROPERTIES, body.encode(), tasks=TASKS)
    # What the broker adds when a message comes again or was dead.
    more = {"x-delivery-count": 2, "x-death": [{"count": 1, "reason": "rejected"}]}
    assert is_ours(headers | more, PROPERTIES, body, tasks=TASKS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", None),
        ("task", 42),
        ("task", ["effects.anime"]),
        ("task", "effects.none"),
        ("task", "celery.map"),
        ("id", None),
        ("id", "x"),
        ("id", 5),
        ("eta", "2030-01-01T00:00:00+00:00"),
        ("expires", "2030-01-01T00:00:00+00:00"),
        ("group", "x"),
        ("shadow", "x"),
        ("retries", 1),
        ("retries", "x"),
        ("timelimit", 5),
        ("timelimit", "ab"),
        ("timelimit", [1]),
        ("timelimit", [None, -1]),
        ("timelimit", [None, True]),
        ("timelimit", [None, float("nan")]),
        ("timelimit", [None, float("inf")]),
        ("stamped_headers", ["x"]),
        ("stamps", {"x": 1}),
        ("compression", "application/x-gzip"),
    ],
)
def test_another_header_is_not_ours(app, name, value):
    headers, body = made(app)
    assert not is_ours(headers | {name: value}, PROPERTIES, body, tasks=TASKS)


@pytest.mark.parametrize("headers", [None, 5, [], {}])
def test_other_headers_are_not_ours(app, headers):
    assert not is_ours(headers, PROPERTIES, made(app)[1], tasks=TASKS)


@pytest.mark.parametrize("expires", ["soon", 5, {}])
def test_a_periodic_message_expires_at_a_moment(app, expires):
    headers, body = made(app, "purge.sweep", ())
    assert not is_ours(headers | {"expires": expires}, PROPERTIES, body, tasks=TASKS)


def test_a_periodic_task_has_no_arguments(app):
    assert not is_ours(*split(made(app, "purge.sweep", (str(JOB),))), tasks=TASKS)


def split(found):
    return found[0], PROPERTIES, found[1]


@pytest.mark.parametrize("changed", [{"content_type": None}, {"content_type": "x"}, {"content_encoding": "binary"}])
def test_another_encoding_is_not_ours(app, changed):
    headers, body = made(app)
    assert not is_ours(headers, PROPERTIES | changed, body, tasks=TASKS)


EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
BODIES = [
    b"",
    b"\xff\xfe",
    b"null",
    b"42",
    b"{}",
    b"[]",
    b"[[]]",
    b'{"args": ["x"]}',
    "[" * 900,
    "[" * 100_000,
    None,
    7,
    json.dumps([[str(JOB)], {}]),
    json.dumps([[str(JOB)], {}, EMBED, 1]),
    json.dumps([[str(JOB)], {"segment": 1}, EMBED]),
    json.dumps([[str(JOB)], None, EMBED]),
    json.dumps([[str(JOB)], {}, None]),
    json.dumps([[str(JOB)], {}, EMBED | {"callbacks": [{"task": "purge.sweep"}]}]),
    json.dumps([[str(JOB)], {}, EMBED | {"x": "y" * 1000}]),
    json.dumps([str(JOB), {}, EMBED]),
    *(
        json.dumps([arguments, {}, EMBED])
        for arguments in (
            [],
            [None],
            [5],
            ["x"],
            [JOB.hex],
            [f"{{{JOB}}}"],
            [str(JOB).upper()],
            [str(JOB), None],
            [str(JOB), "1"],
            [str(JOB), 1.0],
            [str(JOB), True],
            [str(JOB), -1],
            [str(JOB), 2**31],
            [str(JOB), 1, 1],
        )
    ),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body)[:40])
def test_another_body_is_not_ours_and_names_nobody(app, body):
    assert not is_ours(made(app)[0], PROPERTIES, body, tasks=TASKS)
    assert unit(body) is None


def test_a_message_names_its_job_or_segment(app):
    assert unit(made(app)[1]) == Unit(JOB)
    assert unit(made(app, args=(str(JOB), 3))[1].encode()) == Unit(JOB, 3)
