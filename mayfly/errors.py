"""The root of every error that Mayfly raises on purpose; each package draws its own branch in its errors module.

MayflyError
├── NoSpace                            a full disk: mayfly.media.errors.DiskFull, mayfly.db.errors.DatabaseFull
├── mayfly.effects.errors.EffectError  unknown effects, bad parameters, weights
├── mayfly.media.errors.MediaError     what is wrong with an upload, and media tools that fail
├── mayfly.media.errors.StorageError   the object store
├── mayfly.db.errors.StateError        jobs that are unknown or not in the state that a call needs
├── mayfly.client.errors.ClientError   what a producer did wrong, and services that it cannot reach
└── FolderRefused folder_refused       a folder that the settings name is not Mayfly's to use
"""

from __future__ import annotations

from typing import ClassVar


class MayflyError(Exception):
    """What failed has no error of its own; and the root of all that have.

    `code` is stable; the text is one sentence that says what to do. Neither holds a secret, a file name, a user
    reference or anything from inside an upload: both are stored, logged and shown. `remedy` is what to do about a
    code in general: docs/errors.md is made of it. `retry_after` is set where it is known in how many seconds another
    try may succeed.
    """

    code: str = "internal_error"
    remedy: ClassVar[str] = (
        "Tell the operator, who finds the job in a worker's log; it is a mistake of Mayfly's or of an effect's."
    )
    retry_after: int | None = None


class NoSpace(MayflyError):
    """A disk of this machine is full; the text says which."""

    code = "disk_full"
    remedy = "Try again later; the operator frees some space on the machine that the text names."


class FolderRefused(MayflyError):
    """A folder that the settings name is not Mayfly's to use. Nothing was written to it, and nothing in it removed."""

    code = "folder_refused"
    remedy = "Name an empty or a new folder, owned by the user whom Mayfly runs as."
