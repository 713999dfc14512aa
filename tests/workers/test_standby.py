"""Whoever waits in the embedded set-up takes over when its neighbour's worker ends."""

import subprocess
import time

import pytest

from mayfly.client.client import Client
from mayfly.db.states import State
from mayfly.workers.embedded import AlreadyRunning, Embedded
from mayfly.workers.standby import Standby
from tests.conftest import mayfly


def wait_working(standby):
    end = time.monotonic() + 30
    while not standby.working:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_alone_it_works_at_once(embedded, photo):
    with Standby(embedded) as standby, Client(embedded) as client:
        assert standby.working
        assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE
    with Embedded(embedded):
        pass


def test_it_waits_for_its_neighbour_and_then_goes_on(embedded, photo):
    neighbour = Embedded(embedded)
    neighbour.start()
    with Standby(embedded) as standby, Client(embedded) as client:
        time.sleep(1.5)
        assert not standby.working
        neighbour.stop()
        job = client.submit(photo, "pass-through")
        assert client.wait(job, timeout=60).state is State.DONE
        assert standby.working
        with pytest.raises(AlreadyRunning):
            Embedded(embedded).start()
    # It has given back what it took in a thread.
    with Embedded(embedded):
        pass


def test_it_ends_while_its_neighbour_works(embedded):
    with Embedded(embedded):
        begun = time.monotonic()
        with Standby(embedded) as standby:
            assert not standby.working
        assert time.monotonic() - begun < 10


def test_it_takes_over_from_a_process_that_is_killed(embedded, photo):
    with Client(embedded) as client:
        process = subprocess.Popen([mayfly(), "up"], stderr=subprocess.DEVNULL)
        try:
            assert client.wait(client.submit(photo, "pass-through"), timeout=90).state is State.DONE
            with Standby(embedded) as standby:
                assert not standby.working
                process.kill()
                wait_working(standby)
                assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE
        finally:
            process.kill()
            process.wait(30)
