"""A TCP proxy between a process under test and a real server, so that a test can make the line between them fail.

    with Proxy.before(settings.database_url) as proxy:
        url = proxy.through(settings.database_url)
        ...
        proxy.away()  # an outage: what is connected is cut, what connects is refused
        ...
        proxy.back()

Every fault may come and go at any time, from any thread, and holds for all connections, in whatever process they begin.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024
# As on a real line, little waits between the two ends: else megabytes vanish into the kernel's buffers at once.
SEGMENT_BYTES = 1400
BUFFER_BYTES = 16 * 1024
PIECES_A_SECOND = 20  # of a throttled line
PORTS = {"amqp": 5672, "amqps": 5671, "postgresql": 5432, "http": 80, "https": 443, "s3": 443}


class Proxy:
    """Listens on a port of its own and forwards to one server. A context manager: it ends with all its connections."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self._up, self._down = _Direction(), _Direction()
        self._links: set[_Link] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.RLock()
        self._flowing, self._closed = threading.Event(), threading.Event()
        self._flowing.set()
        self._delay = 0.0
        self._wanted: Callable[[bytes], bool] | None = None
        self._swallowed = threading.Event()
        self._listener: socket.socket | None = None
        # Bound, but it does not listen: it keeps the port for us while nothing else does.
        self._place = _socket()
        self._place.bind(("127.0.0.1", 0))

    @classmethod
    def before(cls, url: str) -> Proxy:
        """A proxy before the server that a URL names."""
        parts = urllib.parse.urlsplit(url)
        port = PORTS.get(parts.scheme.partition("+")[0])
        if parts.scheme == "s3" and "secure=false" in parts.query:
            port = PORTS["http"]
        assert parts.hostname is not None
        assert parts.port or port
        return cls(parts.hostname, parts.port or port or 0)

    def through(self, url: str) -> str:
        """The same URL, by way of this proxy."""
        parts = urllib.parse.urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    @property
    def port(self) -> int:
        """Where the proxy listens; the same after every outage."""
        port: int = self._place.getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        with self._lock:
            return len(self._links)

    def __enter__(self) -> Self:
        self.back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self.away()
        self.resume()
        while True:
            with self._lock:
                waiting = [thread for thread in self._threads if thread.is_alive()]
            if not waiting:
                break
            for thread in waiting:
                thread.join(10)
                assert not thread.is_alive(), "a connection of the proxy does not end"
        self._place.close()

    # What goes wrong, and what makes it good again.

    def cut(self) -> None:
        """Close all connections; new ones are welcome."""
        with self._lock:
            for link in self._links:
                link.cut()

    def away(self) -> None:
        """Close all connections and refuse new ones, until `back`."""
        with self._lock:
            if self._listener is not None:
                with contextlib.suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
                self._listener.close()
                self._listener = None
            self.cut()

    def back(self) -> None:
        """Accept connections (again)."""
        with self._lock:
            if self._listener is None:
                self._listener = _socket()
                self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
                self._listener.bind(("127.0.0.1", self.port))
                self._listener.listen(128)
                self._start(self._accept, self._listener)

    def stall(self) -> None:
        """Keep connections and accept new ones, but forward nothing, until `resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again, and first what came in the meantime."""
        self._flowing.set()

    def delay(self, seconds: float) -> None:
        """Hold every piece in either direction for so long; 0 ends it."""
        self._delay = seconds

    def throttle(self, *, up: float | None = None, down: float | None = None) -> None:
        """Forward at most so many bytes a second to the server (up) and to its clients (down), over all connections."""
        self._up.rate, self._down.rate = up, down

    def cut_after(self, count: int, *, up: bool) -> threading.Event:
        """Close all connections once `count` more bytes went in one direction; the event says that it has happened."""
        return self._after(count, up, self.cut)

    def stall_after(self, count: int, *, up: bool) -> threading.Event:
        """Stall once `count` more bytes went in one direction; the event says that it has happened."""
        return self._after(count, up, self.stall)

    def swallow_answer(self, request: bytes | Callable[[bytes], bool]) -> threading.Event:
        """Forward the next request that `request` is in (or says so), lose the server's answer, close that connection.

        What the server was asked is done, and who asked cannot know. Once; the event says that it has happened.
        """
        with self._lock:
            self._swallowed = threading.Event()
            self._wanted = (lambda sent: request in sent) if isinstance(request, bytes) else request
            return self._swallowed

    # How it works: one thread accepts, and each connection has one for each direction.

    def _after(self, count: int, up: bool, action: Callable[[], None]) -> threading.Event:
        happened = threading.Event()
        (self._up if up else self._down).limit(count, lambda: (action(), happened.set()))
        return happened

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy", daemon=True)
        with self._lock:
            self._threads = {known for known in self._threads if known.is_alive() or known.ident is None} | {thread}
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = listener.accept()
                self._start(self._connect, client, listener)

    def _connect(self, client: socket.socket, listener: socket.socket) -> None:
        server = _socket()
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            server.close()
            return
        link = _Link(client, server)
        with self._lock:
            self._links.add(link)
            if self._listener is not listener:  # an outage began in the meantime
                link.cut()
            self._start(self._pump, link, False)
        self._pump(link, True)

    def _pump(self, link: _Link, up: bool) -> None:
        source, target = (link.client, link.server) if up else (link.server, link.client)
        try:
            while data := source.recv((self._up if up else self._down).piece()):
                self._pass(link, up, data, target)
            target.shutdown(socket.SHUT_WR)  # one end has said all, the other may still speak
        except OSError:  # either end is gone
            link.cut()
        with self._lock:
            if link.ended(up):
                self._links.discard(link)

    def _pass(self, link: _Link, up: bool, data: bytes, target: socket.socket) -> None:
        """Forward one piece as the line is now."""
        if self._delay:
            self._closed.wait(self._delay)
        self._flowing.wait()
        if up:
            with link.asking:
                self._look_for_wanted(link, data)
                self._forward(self._up, data, target)
        elif link.swallow is None:
            self._forward(self._down, data, target)
        else:
            with link.asking:  # the whole request has gone
                link.cut()
                link.swallow.set()

    def _forward(self, direction: _Direction, data: bytes, target: socket.socket) -> None:
        while data:
            count, action = direction.allowed(len(data))
            direction.wait(count, self._closed)
            target.sendall(data[:count])
            data = data[count:]
            if action is not None:
                action()
                self._flowing.wait()

    def _look_for_wanted(self, link: _Link, data: bytes) -> None:
        with self._lock:
            if self._wanted is not None and self._wanted(link.last + data):
                self._wanted, link.swallow = None, self._swallowed
        link.last = data[-64:]  # the words may lie across two pieces


class _Direction:
    """What all connections share in one direction: a rate, and a number of bytes after which something happens."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self._free_at = 0.0
        self._left = 0
        self._action: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def limit(self, count: int, action: Callable[[], object]) -> None:
        with self._lock:
            self._left, self._action = count, action

    def piece(self) -> int:
        """How many bytes to read at once."""
        return max(1, min(CHUNK_BYTES, int(self.rate / PIECES_A_SECOND))) if self.rate else CHUNK_BYTES

    def allowed(self, count: int) -> tuple[int, Callable[[], object] | None]:
        """How many of `count` bytes may go now, and what has to happen after them."""
        with self._lock:
            if self._action is None:
                return count, None
            if count < self._left:
                self._left -= count
                return count, None
            action, self._action = self._action, None
            return self._left, action

    def wait(self, count: int, closed: threading.Event) -> None:
        """Wait until the line has taken `count` bytes."""
        if not self.rate:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self.rate
            seconds = self._free_at - time.monotonic()
        closed.wait(seconds)


class _Link:
    """One connection: both of its sockets."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.last = b""
        self.asking = threading.Lock()  # held while a request goes to the server
        self.swallow: threading.Event | None = None  # set once the next answer is to be lost
        self._open = {True, False}

    def cut(self) -> None:
        """Wake both threads, which then end."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def ended(self, up: bool) -> bool:
        """One direction has ended; True, and the sockets are closed, when both have."""
        self._open.discard(up)
        if not self._open:
            self.client.close()
            self.server.close()
        return not self._open


def _socket() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return made
