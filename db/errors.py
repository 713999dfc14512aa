"""What can go wrong with a job's state.

StateError
├── UnknownJob        unknown_job         no job has this id
├── NotReady          not_ready           the job has no result yet
├── KeyTaken         idempotency_conflict   an idempotency key came with another request before
├── ResultGone        result_gone         the result was destroyed when its time was over
└── DatabaseMissing   database_unreachable
    └── DatabaseFull  disk_full           what is there can be read, and nothing be written
"""

from __future__ import annotations

from errors import MayflyError, NoSpace


class StateError(MayflyError):
    """The root of this package's errors."""

    code = "state_error"


class UnknownJob(StateError):
    code = "unknown_job"


class NotReady(StateError):
    code = "not_ready"


class KeyTaken(StateError):
    code = "idempotency_conflict"


class ResultGone(StateError):
    code = "result_gone"


class DatabaseMissing(StateError):
    code = "database_unreachable"


class DatabaseFull(NoSpace, DatabaseMissing):
    """Its disk is full: what is there can be read, and nothing be written."""
