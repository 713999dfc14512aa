"""What a store is asked for: any S3 server answers it, and a folder as well."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

PATIENCE_SECONDS = 30.0
"""How long a server may take no byte and give none. Any speed above that is slow, and fine."""


class Role(enum.Enum):
    """What a store is for, and so which rules it has."""

    UPLOADS = "uploads"
    """Uploads and results, each under its retention class: private, and deleted at the latest after DAYS."""
    MODELS = "models"
    """Networks' weights, for good."""


DAYS: dict[Role, dict[str, int | None]] = {
    Role.UPLOADS: {"face_input/": 1, "input/": 1, "intermediate/": 1, "result/": 15, "preview/": 15},
    Role.MODELS: {"models/": None},
}
"""After how many days a store itself deletes what lies under a prefix, should every purge have stopped: what was
promised at most, which stores round up, by less than a day. None: never."""


@dataclasses.dataclass(frozen=True)
class Protection:
    """How a store keeps the promises: what is wrong with it, and what should be known; a sentence each."""

    wrong: list[str]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size: int
    modified: datetime.datetime


class Store(Protocol):
    """What Mayfly asks of a store. Keys are our own: letters, digits, `-`, `_` and `/`.

    Every method raises mayfly.media.errors.StorageUnavailable when the store does not answer or refuses: at most 45 s
    after the last byte went either way (30 s of silence, and before that at most 10 s in which no connection came
    about), however long the whole takes. A store without space raises its kind StorageFull. What a caller's own stream
    raises passes unchanged.
    """

    def prepare(self) -> None:
        """Make what must exist before the first object: the bucket with its rules, the folder.

        Raises:
            mayfly.media.errors.StorageLocked: the bucket of uploads has object lock.
            errors.FolderRefused: the folder is not Mayfly's.
        """

    def protect(self) -> Protection:
        """Set the rules of the store's role where they are others, and say how it is; after `prepare`."""

    def put(self, key: str, stream: BinaryIO, size: int) -> None:
        """Store `size` bytes of a stream; nothing is visible under the key until all of them are."""

    def read(self, key: str) -> bytes:
        """A whole object. Raises mayfly.media.errors.ObjectMissing."""

    def fetch(self, key: str, target: Path) -> None:
        """Write an object to a file.

        Raises:
            mayfly.media.errors.ObjectMissing: there is no such object.
            mayfly.media.errors.DiskFull: the file's disk is full.
            mayfly.media.errors.MachineFault: the file cannot be written.
        """

    def write_to(self, key: str, target: BinaryIO) -> None:
        """Write an object to a stream. Raises mayfly.media.errors.ObjectMissing."""

    def size(self, key: str) -> int | None:
        """The size of an object, None when there is none."""

    def destroy(self, key: str, *, unfinished: bool = True) -> None:
        """Delete an object, and all its versions where the store keeps any; fine when there is nothing.

        `unfinished`: delete as well what an interrupted upload has left, which costs a listing on some servers.
        """

    def destroy_many(self, keys: Sequence[str]) -> None:
        """Delete objects that were stored whole, at most 1,000, in as few requests as there can be.

        Any error leaves it open which of them are gone.
        """

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects under a prefix, uploads that never ended included."""
