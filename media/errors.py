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
    code = "empty_file"

    def __init__(self, text: str = "the file is empty: send one with content") -> None:
        super().__init__(text)


class UnsupportedMedia(MediaError):
    code = "unsupported_media"


class DamagedMedia(MediaError):
    code = "damaged_media"

    def __init__(self, text: str = "the file is truncated or damaged: send an intact copy") -> None:
        super().__init__(text)


class WrongKind(MediaError):
    code = "wrong_kind"


class TooLarge(MediaError):
    code = "too_large"


class ResultTooLarge(TooLarge):
    code = "result_too_large"


class MediaTimeout(MediaError):
    code = "media_timeout"

    def __init__(
        self, text: str = "processing the file took longer than allowed: send a shorter or smaller one"
    ) -> None:
        super().__init__(text)


class MediaToolError(MediaError):
    code = "media_tool_failed"

    def __init__(self, text: str = "the media tools failed on this machine: try again") -> None:
        super().__init__(text)


class MachineFault(MediaToolError):
    code = "machine_fault"

    def __init__(self, text: str = "this machine cannot write a file or start a program: see its log") -> None:
        super().__init__(text)


class DiskFull(NoSpace, MachineFault):
    def __init__(
        self, text: str = "this machine has too little disk space left: free some, or try again later"
    ) -> None:
        super().__init__(text)


class StorageError(MayflyError):
    """The root of this package's errors about the object store; worth a retry."""

    code = "storage_error"


class StorageUnavailable(StorageError):
    code = "storage_unreachable"


class StorageFull(StorageUnavailable):
    code = "storage_full"

    def __init__(self, text: str = "the object store has no space left; give it more, or wait for a purge") -> None:
        super().__init__(text)


class StorageLocked(StorageError):
    code = "storage_locked"

    def __init__(
        self, text: str = "the bucket has object lock, so nothing can be deleted on time: name a bucket without"
    ) -> None:
        super().__init__(text)


class ObjectMissing(StorageError):
    code = "object_missing"
