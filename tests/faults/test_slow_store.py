"""Any speed is fine that makes progress; a store that makes none is away after a bounded time, whatever was going on.

On the real S3 server, behind a line of 64 kB/s. The parts of an upload have 5 MiB at least, so theirs is faster.
"""

import http.server
import io
import select
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest

from mayfly.media import storage
from mayfly.media.errors import StorageUnavailable
from tests.faults.proxy import Proxy

SPEED = 64_000  # bytes a second
CONTENT = bytes(range(250)) * 1600  # 6.2 s at that speed
PATIENCE = 3.0  # seconds; less than any of the transfers takes
SILENCE = 1.9 * PATIENCE  # no more than this may a stalled call take: it never waits twice


@pytest.fixture
def proxy(servers):
    with Proxy.before(servers["MAYFLY_STORAGE_URL"]) as opened:
        yield opened


@pytest.fixture
def direct(servers):
    """The store without the slow line."""
    opened = storage.connect(servers["MAYFLY_STORAGE_URL"])
    opened.prepare()
    return opened


@pytest.fixture
def store(servers, direct, proxy):
    """The store behind the slow line."""
    return storage.connect(proxy.through(servers["MAYFLY_STORAGE_URL"]), patience=PATIENCE)


@pytest.fixture
def key(direct):
    name = f"test/{uuid.uuid4()}"
    yield name
    direct.destroy(name)


def put(store, key, content=CONTENT):
    store.put(key, io.BytesIO(content), len(content))


def seconds(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_a_slow_upload_succeeds(store, direct, proxy, key):
    proxy.throttle(up=SPEED)
    assert seconds(lambda: put(store, key)) > 5
    assert direct.read(key) == CONTENT


def test_a_slow_download_succeeds(store, direct, proxy, key, tmp_path):
    put(direct, key)
    proxy.throttle(down=SPEED)
    assert seconds(lambda: store.fetch(key, tmp_path / "fetched")) > 5
    assert (tmp_path / "fetched").read_bytes() == CONTENT


def test_a_slow_upload_of_several_parts_succeeds(store, direct, proxy, key):
    content = CONTENT * 50  # 20 MB, two parts
    proxy.throttle(up=3_000_000)
    assert seconds(lambda: put(store, key, content)) > 2 * PATIENCE
    assert direct.read(key) == content


def test_what_waits_in_the_kernel_counts_as_sent_only_when_it_is(servers, direct, key):
    """A fast first hop before a slow line: the kernel would take megabytes at once, and then no answer comes."""
    with Proxy.before(servers["MAYFLY_STORAGE_URL"], segment_bytes=None) as proxy:
        store = storage.connect(proxy.through(servers["MAYFLY_STORAGE_URL"]), patience=5)
        proxy.throttle(up=SPEED)
        put(store, key)
    assert direct.size(key) == len(CONTENT)


def test_a_pause_within_the_patience_is_no_error(servers, direct, proxy, key):
    """Longer than the five seconds that connecting may take."""
    store = storage.connect(proxy.through(servers["MAYFLY_STORAGE_URL"]), patience=10)
    happened = proxy.stall_after(100_000, up=True)
    resumed = threading.Timer(6, proxy.resume)
    resumed.start()
    try:
        assert seconds(lambda: put(store, key)) > 5
    finally:
        resumed.join()
    assert happened.is_set()
    assert direct.read(key) == CONTENT


@pytest.mark.parametrize(
    ("size", "up"), [(100_000, True), (1, False)], ids=["in mid-upload", "after the last byte, without an answer"]
)
def test_an_upload_that_stalls_is_waited_for_once(store, proxy, key, size, up):
    happened = proxy.stall_after(size, up=up)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable) as raised:
        put(store, key)
    assert PATIENCE * 0.9 < time.monotonic() - began < SILENCE
    assert raised.value.code == "storage_unreachable"
    assert happened.is_set()


def test_an_upload_of_several_parts_that_stalls_is_waited_for_once(store, direct, proxy, key):
    proxy.stall_after(1_000_000, up=True)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        put(store, key, CONTENT * 50)
    assert PATIENCE * 0.9 < time.monotonic() - began < SILENCE
    assert direct.size(key) is None
    direct.destroy(key)
    assert list(direct.objects(key)) == []


def test_a_download_that_stalls_is_waited_for_once(store, direct, proxy, key):
    put(direct, key)
    proxy.stall_after(100_000, up=False)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        store.read(key)
    assert PATIENCE * 0.9 < time.monotonic() - began < SILENCE


@pytest.mark.parametrize("name", ["size", "destroy", "objects"])
def test_a_server_that_is_silent_is_waited_for_once(store, proxy, key, name):
    proxy.stall()
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        list(store.objects(key)) if name == "objects" else getattr(store, name)(key)
    assert PATIENCE * 0.9 < time.monotonic() - began < SILENCE


def test_a_line_that_was_cut_is_tried_again(store, direct, proxy, key):
    assert store.size(key) is None
    proxy.cut()  # the connection that is kept for the next call
    put(store, key)
    happened = proxy.cut_after(200_000, up=True)
    put(store, key)
    assert happened.is_set()
    assert direct.read(key) == CONTENT


def test_a_server_that_names_a_time_is_not_waited_for():
    class Busy(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(503)
            self.send_header("Retry-After", "20")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            store = storage.connect(f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false")
            began = time.monotonic()
            with pytest.raises(StorageUnavailable):
                store.size("a")
            assert time.monotonic() - began < 10
        finally:
            server.shutdown()
            thread.join()


class Terminator(socketserver.BaseRequestHandler):
    """Takes TLS off, as a load balancer before a store does."""

    def handle(self):
        server = self.server
        try:
            with (
                server.context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(server.behind) as store,
            ):
                while True:
                    ready = [client] if client.pending() else select.select([client, store], [], [])[0]
                    for source in ready:
                        data = source.recv(65536)
                        if not data:
                            return
                        (store if source is client else client).sendall(data)
        except OSError:
            pass


@pytest.fixture
def secure(servers, direct, tmp_path, monkeypatch):
    """A proxy before TLS before the store, and the store's URL by way of both."""
    names = [str(tmp_path / name) for name in ("key.pem", "certificate.pem")]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-keyout", names[0], "-out", names[1], "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    monkeypatch.setenv("SSL_CERT_FILE", names[1])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Terminator) as server:
        server.daemon_threads = True
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(names[1], names[0])
        behind = urllib.parse.urlsplit(servers["MAYFLY_STORAGE_URL"])
        server.behind = (behind.hostname, behind.port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        with Proxy(*server.server_address) as proxy:
            yield proxy, proxy.through(servers["MAYFLY_STORAGE_URL"]).replace("secure=false", "secure=true")
        server.shutdown()
        thread.join()


def test_the_same_holds_under_tls(secure, direct, key):
    proxy, url = secure
    store = storage.connect(url, patience=10)
    proxy.throttle(up=SPEED * 4)
    happened = proxy.stall_after(100_000, up=True)
    resumed = threading.Timer(6, proxy.resume)
    resumed.start()
    try:
        put(store, key)  # a pause longer than connecting may take
    finally:
        resumed.join()
    assert happened.is_set()
    assert direct.read(key) == CONTENT


def test_a_stall_under_tls_is_waited_for_once(secure, key):
    proxy, url = secure
    proxy.stall_after(100_000, up=True)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable):
        put(storage.connect(url, patience=PATIENCE), key)
    assert PATIENCE * 0.9 < time.monotonic() - began < SILENCE
