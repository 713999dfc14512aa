"""What a producer can do wrong or run into.

ClientError
├── InvalidSource     invalid_source    what was given is no file, bytes or seekable stream
├── InvalidTarget     invalid_target    the result cannot be written there, or not in that format
├── InvalidReference  invalid_reference an owner, consent or idempotency key that is too long, or no text
├── DeviceEffect      device_effect     the effect runs where the photo is and takes no uploads
├── UploadRefused     upload_refused    the job has ended while its input was being stored
├── PartlySubmitted   (the first's own) some of several uploads failed; carries the jobs of the others
├── JobFailed         (the job's own)   the result of a failed job was asked for
│   └── JobCancelled  cancelled         the result of a cancelled job was asked for
└── WaitTimeout       wait_timeout      the job was not finished in the time given
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mayfly.errors import MayflyError

if TYPE_CHECKING:
    from mayfly.client.job import Job


class ClientError(MayflyError):
    """The root of this package's errors."""

    code = "client_error"


class InvalidSource(ClientError):
    """What was given is no file, bytes or seekable binary stream, or it cannot be read to its end."""

    code = "invalid_source"
    remedy = "Give a path that can be read, bytes, or a seekable binary stream that stays open."


class InvalidTarget(ClientError):
    """The result cannot be written there, or not in that format."""

    code = "invalid_target"
    remedy = "Give a path in a folder that can be written, or an open binary stream; for `apply`, a suffix that fits."


class InvalidReference(ClientError):
    """An owner, consent or idempotency key is too long, or no printable text."""

    code = "invalid_reference"
    remedy = "Give printable text of 1 to 255 characters."


class DeviceEffect(ClientError):
    """The effect runs where the photo is, and takes no uploads."""

    code = "device_effect"
    remedy = "Use `mayfly apply`, or the effect's own code on the device."


class UploadRefused(ClientError):
    """The job has ended while its input was being stored."""

    code = "upload_refused"
    remedy = "Submit it again, unless you have cancelled it."


class PartlySubmitted(ClientError):
    """One of several uploads failed when others were queued; those go on.

    Attributes:
        code: of the first error, which is this one's cause.
        retry_after: likewise, seconds until another try may find room; None where the error does not say it.
        submitted: the jobs that were queued, in the order of their sources.
        position: of the source that failed first, from 1.
    """

    def __init__(
        self, code: str, text: str, *, submitted: list[Job], position: int, retry_after: int | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after = retry_after
        self.submitted = submitted
        self.position = position


class JobFailed(ClientError):
    """Carries the job's own error code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class JobCancelled(JobFailed):
    """The job was cancelled, so it has no result."""

    code = "cancelled"
    remedy = "Submit it again, if its result is wanted after all."

    def __init__(self, text: str = "the job was cancelled; submit it again") -> None:
        super().__init__(self.code, text)


class WaitTimeout(ClientError):
    """The job was not finished in the time given. `unreachable`: the code of an outage that it ended in, or None."""

    code = "wait_timeout"
    remedy = "Ask again later: the job goes on."

    def __init__(self, text: str, *, unreachable: str | None = None) -> None:
        super().__init__(text)
        self.unreachable = unreachable
