"""A producer that SIGKILL ends at one point of its submit: `python killed_producer.py POINT FILE [KEY]`.

Prints the job's id as soon as there is one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from mayfly.client.client import Client
from mayfly.db import jobs
from mayfly.media.storage import patience
from mayfly.media.storage.s3 import S3Store
from mayfly.tasks.messages.sender import Sender

BODY_BYTES = 65_536  # what is sent at once and is larger belongs to the upload
PARTS = 3  # of the multipart upload

POINTS = (
    "before the row",
    "before the bytes",
    "in mid-bytes",
    "in mid-part",
    "before the mark",
    "before the message",
    "after the message",
)


def die(*_arguments, **_keywords):
    os.kill(os.getpid(), signal.SIGKILL)


class Sending:
    """Sends half of the upload's n-th body, then dies."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0
        self.lock = threading.Lock()
        self.original = patience._Sender.send

    def __call__(self, connection: patience._Sender, data) -> None:
        if isinstance(data, bytes) and len(data) >= BODY_BYTES:
            with self.lock:
                self.count += 1
                last = self.count == self.last
            if last:
                # The parts before it, which other threads send, arrive.
                time.sleep(1.5 if self.last > 1 else 0)
                self.original(connection, data[: len(data) // 2])
                die()
        self.original(connection, data)


def main(point: str, file: Path, key: str | None = None) -> None:
    create = jobs.create

    def create_and_tell(*arguments, **keywords):
        job, asset = create(*arguments, **keywords)
        print(job.id, flush=True)
        return job, asset

    jobs.create = create_and_tell
    match point:
        case "before the row":
            jobs.create = die
        case "before the bytes":
            S3Store.put = die
        case "in mid-bytes" | "in mid-part":
            sending = Sending(PARTS if point == "in mid-part" else 1)
            patience._Sender.send = lambda connection, data: sending(connection, data)
        case "before the mark":
            jobs.mark_uploaded = die
        case "before the message":
            Sender.send = die
        case "after the message":
            jobs.mark_sent = die
    references = {"owner": f"owner of {point}", "consent": "consent-killed", "idempotency_key": key}
    Client().submit(file, "pass-through", **references)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
