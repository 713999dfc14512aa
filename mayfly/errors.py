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


class MayflyError(Exception):
    """The root. `code` is stable; the text is one sentence that says what to do.

    Neither holds a secret, a file name, a user reference or anything from inside an upload: both are stored,
    logged and shown. `retry_after` is set where it is known in how many seconds another try may succeed.
    """

    code = "internal_error"
    retry_after: int | None = None


class NoSpace(MayflyError):
    """A disk of this machine is full; which one, the branches say."""

    code = "disk_full"


class FolderRefused(MayflyError):
    """Nothing was written to the folder, and nothing in it removed."""

    code = "folder_refused"
