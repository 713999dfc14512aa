"""What a producer can do wrong or run into.

ClientError
├── InvalidSource     invalid_source    what was given is no file, bytes or seekable stream
├── InvalidTarget     invalid_target    the result cannot be written there, or not in that format
├── InvalidReference  invalid_reference an owner, consent or idempotency key that is too long, or no text
├── DeviceEffect      device_effect     the effect runs where the photo is and takes no uploads
├── UploadRefused     upload_refused    the job was cancelled while its input was being stored
├── JobFailed         (the job's own)   the result of a failed or cancelled job was asked for
└── WaitTimeout       wait_timeout      the job was not finished in the time given
"""

from __future__ import annotations

from errors import MayflyError


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


class JobFailed(ClientError):
    """Carries the job's own error code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class WaitTimeout(ClientError):
    code = "wait_timeout"
