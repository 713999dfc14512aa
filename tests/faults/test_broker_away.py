"""A worker whose broker was away takes messages again soon after it is back, and says little meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.db.states import State
from tests.faults.proxy import Proxy
from tests.integration.stage import Stage, opened

AWAY_SECONDS = 10.0


@pytest.fixture(scope="module")
def stage(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with opened(servers, tmp_path_factory.mktemp("away")) as stage:
        yield stage


def test_it_goes_on_within_15_seconds_of_the_return(stage: Stage, photo: Path):
    url = stage.variables["MAYFLY_BROKER_URL"]
    with Proxy.before(url) as proxy:
        worker = stage.start_worker(broker_url=proxy.through(url))
        assert stage.wait_final(stage.queue("pass-through", photo), seconds=120).state is State.DONE
        before = len(worker.text.splitlines())
        proxy.away()
        time.sleep(AWAY_SECONDS)
        job = stage.queue("pass-through", photo)
        proxy.back()
        assert stage.wait_final(job, seconds=15).state is State.DONE
        said = worker.text.splitlines()[before:]
        assert "Traceback" not in worker.text
        # Four services, each with a line for every try, and a few for the loss and the return.
        assert len(said) < 60, said
        assert not any("delayed delivery" in line for line in said)
