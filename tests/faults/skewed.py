"""What a machine does whose clock is off: maintenance, a claim, a reservation, in a process that libfaketime fools."""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

from mayfly.db import claims
from mayfly.db.states import Retention, Stage
from mayfly.purge import sweeper
from mayfly.settings import Settings
from mayfly.tasks import runtime
from mayfly.tasks.app import create
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.messages import outbox


def main() -> None:
    """`skewed.py SCRATCH JOB`: sweep, re-send, and claim the job."""
    settings = Settings()
    opened = runtime.start(settings, create(settings), scratch=Path(sys.argv[1]))
    print(time.time(), flush=True)
    sweeper.sweep(opened.engine, opened.store)
    outbox.resend(opened)
    claim = claims.take(opened.engine, uuid.UUID(sys.argv[2]), stage=Stage.EFFECT, holder="skewed", lease=60)
    assert claim is not None
    attempt = Attempt(opened, claims, claim)
    for retention in (Retention.INTERMEDIATE, Retention.RESULT):
        attempt.reserve(retention, ".jpg")
    assert attempt.extend()
    assert claims.wait(opened.engine, claim, delay=30, outcome="skewed")
    opened.close()


if __name__ == "__main__":
    main()
