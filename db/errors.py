"""What can go wrong with a job's state.

StateError
├── UnknownJob        unknown_job         no job has this id
├── NotReady          not_ready           the job has no result yet
├── KeyTaken         idempotency_conflict   an idempotency key came with another request before
├── Overloaded        overloaded          as many jobs or bytes wait as may; carries when to come back
├── DatabaseTooNew    database_too_new    its tables are those of a newer Mayfly
├── ResultGone        result_gone         the result was destroyed when its time was over
├── UploadAbandoned   upload_abandoned    a job's error: its upload was not completed; never raised
└── DatabaseMissing   database_unreachable
    └── DatabaseFull  disk_full           what is there can be read, and nothing be written
"""

from __future__ import annotations

from mayfly.errors import MayflyError, NoSpace


class StateError(MayflyError):
    """The root of this package's errors."""

    code = "state_error"


class UnknownJob(StateError):
    """No job has this id."""

    code = "unknown_job"
    remedy = "Give the id that `submit` returned; rows of old jobs are deleted, and another Mayfly has jobs of its own."


class NotReady(StateError):
    """The job has no result yet."""

    code = "not_ready"
    remedy = "Wait for the job, or ask again later."


class KeyTaken(StateError):
    """An idempotency key came with another file, effect or parameters before."""

    code = "idempotency_conflict"
    remedy = "Take a new key for a new request; the same request finds its job."


class Overloaded(StateError):
    """As many jobs or bytes wait as may. `retry_after`: seconds until another try may find room."""

    code = "overloaded"
    remedy = "Try again after as many seconds as `retry_after` says; nothing was stored."
    retry_after: int

    def __init__(self, text: str, *, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ResultGone(StateError):
    """The result was destroyed when its time was over."""

    code = "result_gone"
    remedy = "Submit the upload again, and fetch the result in time."


class DatabaseTooNew(StateError):
    """The database's tables are those of a newer Mayfly."""

    code = "database_too_new"
    remedy = "Install the version of Mayfly that the others on this database have."

    def __init__(self, text: str = "the database is of a newer Mayfly: update this one") -> None:
        super().__init__(text)


class UploadAbandoned(StateError):
    """The job's upload was not completed: its producer died, or was not heard of for too long. Only a job's error."""

    code = "upload_abandoned"
    remedy = "Submit it again."

    def __init__(self, text: str = "the upload was not completed; submit it again") -> None:
        super().__init__(text)


class DatabaseMissing(StateError):
    """The database does not answer."""

    code = "database_unreachable"
    remedy = "Try again later; the operator checks MAYFLY_DATABASE_URL and `mayfly doctor`."


class DatabaseFull(NoSpace, DatabaseMissing):
    """Its disk is full: what is there can be read, and nothing be written."""
