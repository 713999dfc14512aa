"""The proxy that fault tests lean on: each fault is what it says, and passes when it is taken back."""

import contextlib
import socket
import socketserver
import threading
import time

import psycopg
import pytest

from tests.faults.proxy import Proxy

SECONDS = 10  # no test here waits longer for anything


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.server.got += data
                self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    block_on_close = True
    got = b""


@pytest.fixture
def server():
    with EchoServer(("127.0.0.1", 0), Echo) as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


@pytest.fixture
def proxy(server):
    with Proxy(*server.server_address) as opened:
        yield opened


@pytest.fixture
def line(proxy):
    with connected(proxy) as opened:
        assert ask(opened, b"hello") == b"hello"
        yield opened


def connected(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)


def ask(line, text):
    line.sendall(text)
    return take(line, len(text))


def take(line, count):
    """So many bytes, or what there was when the other end closed."""
    found = b""
    while len(found) < count and (data := line.recv(count - len(found))):
        found += data
    return found


def ended(line):
    try:
        return line.recv(1) == b""
    except ConnectionError:
        return True


def test_what_goes_in_comes_out(proxy, line):
    content = bytes(range(256)) * 4000
    line.settimeout(SECONDS)
    sender = threading.Thread(target=line.sendall, args=(content,))
    sender.start()
    assert take(line, len(content)) == content
    sender.join()
    line.shutdown(socket.SHUT_WR)
    assert ended(line)


def test_it_leaves_neither_threads_nor_sockets(server):
    before = set(threading.enumerate())
    with Proxy(*server.server_address) as proxy:
        lines = [connected(proxy) for _ in range(3)]
        assert [ask(line, b"x") for line in lines] == [b"x"] * 3
        proxy.stall()
        lines[0].sendall(b"never answered")
        port = proxy.port
    assert all(ended(line) for line in lines)
    for line in lines:
        line.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "proxy"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def test_a_cut_closes_what_is_there_and_nothing_else(proxy, line):
    proxy.cut()
    assert ended(line)
    with connected(proxy) as another:
        assert ask(another, b"again") == b"again"


def test_away_means_refused_until_it_is_back_on_the_same_port(proxy, line):
    for _ in range(3):
        proxy.away()
        assert ended(line)
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
        proxy.back()
        with connected(proxy) as another:
            assert ask(another, b"again") == b"again"


def test_a_stalled_server_is_connected_and_silent(proxy, line):
    proxy.stall()
    with connected(proxy) as another:
        for end in (line, another):
            end.settimeout(0.3)
            with pytest.raises(TimeoutError):
                ask(end, b"anybody?")
        proxy.resume()
        for end in (line, another):
            end.settimeout(SECONDS)
            assert take(end, 8) == b"anybody?"


def test_a_delay_holds_every_answer(proxy, line):
    proxy.delay(0.2)
    began = time.monotonic()
    assert ask(line, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.4  # there and back
    proxy.delay(0)
    began = time.monotonic()
    assert ask(line, b"fast") == b"fast"
    assert time.monotonic() - began < 0.4


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_throttle_bounds_one_way(proxy, line, way):
    proxy.throttle(**{way: 100_000})
    began = time.monotonic()
    assert ask(line, b"x" * 50_000) == b"x" * 50_000
    assert 0.4 <= time.monotonic() - began < SECONDS
    proxy.throttle()
    began = time.monotonic()
    assert ask(line, b"x" * 50_000) == b"x" * 50_000
    assert time.monotonic() - began < 0.4


def test_a_throttled_line_takes_little_at_once(proxy, line):
    """What vanishes into buffers would hide how slow a line is."""
    proxy.throttle(up=10_000)
    line.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += line.send(b"x" * 1000)
    assert sent < 300_000


def test_connections_share_a_line(proxy, line):
    proxy.throttle(up=100_000)
    began = time.monotonic()
    with connected(proxy) as another:
        for end in (line, another):
            end.sendall(b"x" * 30_000)
        for end in (line, another):
            assert take(end, 30_000) == b"x" * 30_000
    assert time.monotonic() - began >= 0.5


def test_it_cuts_after_so_many_bytes_to_the_server(proxy, line, server):
    happened = proxy.cut_after(1000, up=True)
    ask(line, b"y" * 999)
    assert not happened.is_set()
    with contextlib.suppress(ConnectionError):
        line.sendall(b"z" * 5000)
        take(line, 5000)
    assert happened.wait(SECONDS)
    assert ended(line)
    # The last byte may be lost with the connection.
    assert server.got.count(b"y") == 999
    assert server.got.count(b"z") <= 1
    with connected(proxy) as another:
        assert ask(another, b"x" * 5000) == b"x" * 5000


def test_it_cuts_after_so_many_bytes_to_the_client(proxy, line):
    happened = proxy.cut_after(700, up=False)
    line.sendall(b"y" * 1000)
    assert take(line, 1000) == b"y" * 700
    assert happened.wait(SECONDS)


def test_it_stalls_after_so_many_bytes(proxy, line, server):
    happened = proxy.stall_after(700, up=True)
    line.sendall(b"y" * 1000)
    assert happened.wait(SECONDS)
    line.settimeout(0.3)
    with pytest.raises(TimeoutError):
        take(line, 1000)
    assert server.got.count(b"y") == 700
    proxy.resume()
    line.settimeout(SECONDS)
    line.shutdown(socket.SHUT_WR)
    while line.recv(1000):
        pass
    assert server.got.count(b"y") == 1000


@pytest.mark.parametrize("request_", [b"COMMIT", lambda sent: sent.endswith(b"MIT")], ids=["bytes", "predicate"])
def test_it_swallows_the_answer_to_one_request(proxy, line, server, request_):
    happened = proxy.swallow_answer(request_)
    assert ask(line, b"INSERT") == b"INSERT"
    assert not happened.is_set()
    line.sendall(b"COMMIT")
    assert ended(line)
    assert happened.wait(SECONDS)
    assert server.got.endswith(b"COMMIT")
    with connected(proxy) as another:
        assert ask(another, b"COMMIT") == b"COMMIT"


def test_a_request_in_two_pieces_is_seen(proxy, line):
    happened = proxy.swallow_answer(b"COMMIT")
    assert ask(line, b"COM") == b"COM"
    line.sendall(b"MIT")
    assert ended(line)
    assert happened.wait(SECONDS)


def test_a_server_that_is_not_there_closes_the_line():
    with Proxy("127.0.0.1", 1) as proxy, connected(proxy) as line:
        assert ended(line)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("amqp://user:pass%40word@broker:5673/v%2Fhost", "broker", 5673),
        ("amqps://user@broker/vhost?heartbeat=5", "broker", 5671),
        ("postgresql+psycopg://user:secret@db/name?sslmode=disable", "db", 5432),
        ("s3://key:secret@store/bucket", "store", 443),
        ("s3://key:secret@store/bucket?secure=false", "store", 80),
        ("http://store:9000/health", "store", 9000),
    ],
)
def test_a_url_goes_through(url, host, port):
    proxy = Proxy.before(url)
    assert proxy.target == (host, port)
    with proxy:
        before, _, after = url.partition(f"{host}:{port}" if f":{port}" in url else host)
        assert proxy.through(url) == f"{before}127.0.0.1:{proxy.port}{after}"


def test_a_lost_answer_to_commit_is_a_commit(servers):
    """The real thing that most tests want it for."""
    url = servers["MAYFLY_DATABASE_URL"]
    direct = url.replace("postgresql+psycopg", "postgresql")
    with Proxy.before(url) as proxy, psycopg.connect(direct) as witness:
        witness.autocommit = True
        witness.execute("create table swallowed (number int)")
        connection = psycopg.connect(proxy.through(direct))
        connection.execute("insert into swallowed values (1)")
        happened = proxy.swallow_answer(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        assert happened.wait(SECONDS)
        connection.close()
        assert witness.execute("select number from swallowed").fetchall() == [(1,)]
        witness.execute("drop table swallowed")
