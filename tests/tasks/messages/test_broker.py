"""What is wrong with a broker's address is said in words that repeat nothing of it."""

from __future__ import annotations

import socket
import threading
import urllib.parse
from collections.abc import Iterator

import pytest

from mayfly.settings import Settings
from mayfly.tasks.errors import BrokerMissing, BrokerRefused
from mayfly.tasks.messages import broker


@pytest.fixture
def port() -> Iterator[int]:
    """A port where something else listens: it ends every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                client.recv(100)
                client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def at(settings: Settings, **changes: str | int) -> Settings:
    """The settings with another address: `password`, `host`, `port`, `path`, or the whole `url`."""
    url = urllib.parse.urlsplit(settings.resolved_broker_url)
    given = {"user": url.username, "password": url.password, "host": url.hostname, "port": url.port, "path": url.path}
    found = given | {"url": None} | changes
    made = found["url"] or "amqp://{user}:{password}@{host}:{port}{path}".format(**found)
    return settings.model_copy(update={"broker_url": type(settings.broker_url)(made)})


def test_an_address_that_works(full: Settings):
    broker.probe(full)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "geheim"}, "name or password"),
        ({"user": "geheim"}, "name or password"),
        ({"path": "/geheim"}, "no such virtual host"),
        ({"host": "geheim.invalid"}, "host name"),
        ({"url": "geheim://x"}, "no address of a broker"),
        ({"url": "amqp://u:geheim@127.0.0.1:99999/x"}, "no address of a broker"),
    ],
)
def test_a_wrong_address_is_refused(full: Settings, changes: dict[str, str], words: str):
    with pytest.raises(BrokerRefused, match=words) as raised:
        broker.probe(at(full, **changes))
    assert raised.value.code == "broker_refused"
    assert "geheim" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_something_else_listens(full: Settings, port: int):
    with pytest.raises(BrokerMissing, match="does not speak as a broker") as raised:
        broker.probe(at(full, port=port))
    assert raised.value.code == "broker_unreachable"


def test_something_else_says_nothing(full: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(broker, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(BrokerMissing, match="does not speak"):
        broker.probe(at(full, port=silent.getsockname()[1]))


def test_nothing_listens(full: Settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(BrokerMissing, match="does not answer") as raised:
            broker.probe(at(full, port=taken.getsockname()[1]))
    assert raised.value.code == "broker_unreachable"


def test_no_tls(full: Settings):
    with pytest.raises(BrokerMissing, match="no TLS"):
        broker.probe(at(full, url=full.resolved_broker_url.replace("amqp://", "amqps://")))
