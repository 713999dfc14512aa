"""What can go wrong with a job's state.

StateError
├── UnknownJob        unknown_job         no job has this id
├── NotReady          not_ready           the job has no result yet
├── KeyTaken         idempotency_conflict   an idempotency key came with another request before
├── Overloaded        overloaded          as many jobs or bytes wait as may; carries when to come back
├── ResultGone        result_gone         the result was destroyed when its time was over
└── DatabaseMissing   database_unreachable
    └── DatabaseFull  disk_full           what is there can be read, and nothing be written
"""

from __future__ import annotations

from mayfly.errors import MayflyError, NoSpace


class StateError(MayflyError):
    """The root of this package's errors."""

    code = "state_error"


class UnknownJob(StateError):
    code = "unknown_job"


class NotReady(StateError):
    code = "not_ready"


class KeyTaken(StateError):
    code = "idempotency_conflict"


class Overloaded(StateError):
    """`retry_after`: seconds until another try may find room."""

    code = "overloaded"

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ResultGone(StateError):
    code = "result_gone"


class DatabaseMissing(StateError):
    code = "database_unreachable"


class DatabaseFull(NoSpace, DatabaseMissing):
    """Its disk is full: what is there can be read, and nothing be written."""
