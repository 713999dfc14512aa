"""Which job a dead letter is about."""

import json
import uuid

import pytest

from tasks import dead_letters

JOB = uuid.uuid4()


def test_a_message_of_ours_names_its_job():
    body = json.dumps([[str(JOB)], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    assert dead_letters.job_of(body.encode()) == JOB


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"5",
        b"{}",
        b"[]",
        b"[[]]",
        b"[[5]]",
        b"[[null]]",
        b'[["not an id"], {}, {}]',
        b'{"args": ["x"]}',
        b'[{"job": "x"}]',
    ],
)
def test_any_other_message_names_none(body):
    assert dead_letters.job_of(body) is None
