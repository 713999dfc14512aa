"""What can be wrong with an upload, and what can go wrong while it is read, written or stored.

MediaError
├── EmptyFile         empty_file         there are no bytes
├── UnsupportedMedia  unsupported_media  not media, or a format that is not taken
├── DamagedMedia      damaged_media      truncated or corrupt
├── WrongKind         wrong_kind         a picture where a video is wanted, or the reverse
├── TooLarge          too_large          over a limit in bytes, pixels, frames, seconds or memory
│   └── ResultTooLarge  result_too_large  what the effect would make is larger than its format, or a limit, allows
├── MediaTimeout      media_timeout      reading or writing it took longer than allowed
└── MediaToolError    media_tool_failed  ffmpeg failed for a reason of the machine's: the only one worth a retry
    └── MachineFault  machine_fault      surely the machine's: a file cannot be written, a program not be started
        └── DiskFull  disk_full          the machine has too little space left

StorageError
├── StorageUnavailable  storage_unreachable  the object store does not answer, or refuses
│   └── StorageFull     storage_full         the object store has no space left
├── StorageLocked       storage_locked       the bucket has object lock, and may keep what is to be deleted
└── ObjectMissing       object_missing       the object store has no such object
"""

from __future__ import annotations

from mayfly.errors import MayflyError, NoSpace


class MediaError(MayflyError):
    """The root of this package's errors about media; all but MediaToolError are permanent."""

    code = "media_error"


class EmptyFile(MediaError):
    """The file has no bytes."""

    code = "empty_file"
    remedy = "Send a file with content; look whether the stream stands at its beginning."

    def __init__(self, text: str = "the file is empty: send one with content") -> None:
        super().__init__(text)


class UnsupportedMedia(MediaError):
    """The file is neither a picture nor a video, or in a format that is not taken."""

    code = "unsupported_media"
    remedy = "Send JPEG, PNG, WebP, MP4, MOV, MKV, WebM or GIF."


class DamagedMedia(MediaError):
    """The file is truncated or damaged."""

    code = "damaged_media"
    remedy = "Send an intact copy."

    def __init__(self, text: str = "the file is truncated or damaged: send an intact copy") -> None:
        super().__init__(text)


class WrongKind(MediaError):
    """The effect takes pictures and got a video, or the reverse."""

    code = "wrong_kind"
    remedy = "Send it the kind that the text names; `mayfly effects` lists what each takes."


class TooLarge(MediaError):
    """The file is over a limit in bytes, pixels, frames, seconds or memory."""

    code = "too_large"
    remedy = "Send a smaller or shorter one; the limits are the operator's."


class ResultTooLarge(TooLarge):
    """What the effect would make is larger than its format, or a limit, allows."""

    code = "result_too_large"
    remedy = "Send a smaller file, ask for a smaller factor, or send another format."


class MediaTimeout(MediaError):
    """Reading or writing the file took longer than allowed."""

    code = "media_timeout"
    remedy = "Send a shorter or smaller one."

    def __init__(
        self, text: str = "processing the file took longer than allowed: send a shorter or smaller one"
    ) -> None:
        super().__init__(text)


class MediaToolError(MediaError):
    """The media tools failed, perhaps for a reason of the machine's."""

    code = "media_tool_failed"
    remedy = "Submit it again; where it fails again, send another copy and tell the operator."

    def __init__(self, text: str = "the media tools failed on this machine: try again") -> None:
        super().__init__(text)


class MachineFault(MediaToolError):
    """A worker's machine cannot write a file or start a program."""

    code = "machine_fault"
    remedy = "Nothing to do for a producer, the job is tried again elsewhere; the operator looks at the worker's log."

    def __init__(self, text: str = "this machine cannot write a file or start a program: see its log") -> None:
        super().__init__(text)


class DiskFull(NoSpace, MachineFault):
    def __init__(
        self, text: str = "this machine has too little disk space left: free some, or try again later"
    ) -> None:
        super().__init__(text)


class StorageError(MayflyError):
    """An object stays in the store though it was deleted; and the root of the store's errors, all worth a retry."""

    code = "storage_error"
    remedy = "It is tried again; the operator looks what keeps objects in the store, and at `mayfly purge status`."


class StorageUnavailable(StorageError):
    """The object store does not answer, or refuses."""

    code = "storage_unreachable"
    remedy = "Try again later; the operator checks MAYFLY_STORAGE_URL and `mayfly doctor`."


class StorageFull(StorageUnavailable):
    """The object store has no space left."""

    code = "storage_full"
    remedy = "Try again later; the operator gives the store more space, or runs `mayfly purge run`."

    def __init__(self, text: str = "the object store has no space left; give it more, or wait for a purge") -> None:
        super().__init__(text)


class StorageLocked(StorageError):
    """The bucket has object lock, and may keep what is to be deleted."""

    code = "storage_locked"
    remedy = "The operator names a bucket without object lock."

    def __init__(
        self, text: str = "the bucket has object lock, so nothing can be deleted on time: name a bucket without"
    ) -> None:
        super().__init__(text)


class ObjectMissing(StorageError):
    """The object store no longer has what the tables name."""

    code = "object_missing"
    remedy = "Submit the upload again; the operator looks who deletes objects beside Mayfly."
