"""What a producer can do wrong or run into.

ClientError
├── InvalidSource     invalid_source    what was given is no file, bytes or seekable stream
├── InvalidTarget     invalid_target    the result cannot be written there, or not in that format
├── InvalidReference  invalid_reference an owner, consent or idempotency key that is too long, or no text
├── DeviceEffect      device_effect     the effect runs where the photo is and takes no uploads
├── UploadRefused     upload_refused    the job has ended while its input was being stored
├── PartlySubmitted   (the first's own) some of several uploads failed; carries the jobs of the others
├── JobFailed         (the job's own)   the result of a failed or cancelled job was asked for
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
    code = "invalid_source"


class InvalidTarget(ClientError):
    code = "invalid_target"


class InvalidReference(ClientError):
    code = "invalid_reference"


class DeviceEffect(ClientError):
    code = "device_effect"


class UploadRefused(ClientError):
    code = "upload_refused"


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


class WaitTimeout(ClientError):
    """`unreachable` is the code of the outage that the time ended in, None when all answered."""

    code = "wait_timeout"

    def __init__(self, text: str, *, unreachable: str | None = None) -> None:
        super().__init__(text)
        self.unreachable = unreachable
