"""HTTP connections that take any speed as long as there is progress, and none at all for a bounded time only.

urllib3 sends under the timeout of connecting, and under one for the whole body: a slow line then looks like a dead
one. Here each piece that the kernel takes begins the wait anew. Receiving is so by itself.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

import urllib3
from urllib3 import connectionpool
from urllib3.connection import HTTPConnection, HTTPSConnection

CONNECT_SECONDS = 5
UNSENT_BYTES = 128 * 1024
"""The most that waits in the kernel to be sent: its buffer of megabytes would hide progress for minutes, and the wait
for an answer would begin long before the last byte has left."""


class Stalled(urllib3.exceptions.TimeoutError):
    """The server took no byte for as long as we wait."""


class _Sender(HTTPConnection):
    """Sends piece by piece, and waits `patience` seconds for each."""

    patience: float | None = None

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.patience)
        left = memoryview(data)
        try:
            while left:
                left = left[self.sock.send(left) :]
        except TimeoutError:
            raise Stalled("the server takes nothing") from None


class _SecureSender(_Sender, HTTPSConnection):
    """The same under TLS."""


class _Pool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _Sender

    def _new_conn(self) -> Any:
        made: Any = super()._new_conn()
        made.patience = self.timeout.read_timeout
        return made


class _SecurePool(_Pool, connectionpool.HTTPSConnectionPool):
    ConnectionCls = _SecureSender


class _Retry(urllib3.Retry):
    """Repeats what failed at once, and never what was waited for: a stall would become minutes."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: connectionpool.ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        if isinstance(error, Stalled | urllib3.exceptions.ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def pool(patience: float) -> urllib3.PoolManager:
    """Connections that fail after `patience` seconds without progress; connecting itself is tried twice for 5 s."""
    options = list(HTTPConnection.default_socket_options)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        options.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES))
    made = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=patience),
        maxsize=16,
        retries=_Retry(
            total=3,
            connect=1,
            backoff_factor=0.1,
            status_forcelist=[500, 502, 503, 504],
            respect_retry_after_header=False,  # a server may name hours
        ),
        socket_options=options,
    )
    made.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return made
