"""The store of the embedded set-up: a private folder, one file an object."""

from __future__ import annotations

import contextlib
import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from media.errors import ObjectMissing, StorageUnavailable
from media.storage import StoredObject

CHUNK_BYTES = 1024 * 1024
PART = ".part"
TRIES = 20


class FolderStore:
    """Objects as files under `root`; a file that is being written carries another suffix until it is whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        with _as_storage_error():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, key: str, stream: BinaryIO, size: int) -> None:
        target = self._path(key)
        with _as_storage_error():
            part = Path(f"{target}{PART}")
            with _opened_in_its_folder(part) as file:
                shutil.copyfileobj(stream, file, CHUNK_BYTES)
                if file.tell() != size:
                    raise OSError("the stream ended early")
            part.rename(target)

    def read(self, key: str) -> bytes:
        with _as_storage_error():
            return self._path(key).read_bytes()

    def fetch(self, key: str, target: Path) -> None:
        with _as_storage_error():
            shutil.copyfile(self._path(key), target)

    def write_to(self, key: str, target: BinaryIO) -> None:
        with _as_storage_error(), self._path(key).open("rb") as file:
            shutil.copyfileobj(file, target, CHUNK_BYTES)

    def size(self, key: str) -> int | None:
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def destroy(self, key: str, *, unfinished: bool = True) -> None:
        path = self._path(key)
        with _as_storage_error():
            path.unlink(missing_ok=True)
            if unfinished:
                Path(f"{path}{PART}").unlink(missing_ok=True)
        # A job's empty folders would be a trace of it; somebody else's file in one ends the climb.
        with contextlib.suppress(OSError):
            for folder in path.parents:
                if folder == self.root:
                    break
                folder.rmdir()

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        for path in sorted(self.root.rglob("*")):
            key = path.relative_to(self.root).as_posix().removesuffix(PART)
            with contextlib.suppress(FileNotFoundError):  # destroyed while we look
                status = path.stat()
                if path.is_file() and key.startswith(prefix):
                    modified = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
                    yield StoredObject(key=key, size=status.st_size, modified=modified)

    def _path(self, key: str) -> Path:
        path = self.root / key
        if ".." in path.parts or not path.is_relative_to(self.root):
            raise ValueError("a key stays inside the store")
        return path


def _opened_in_its_folder(path: Path) -> BinaryIO:
    """The file, opened for writing; a neighbour's `destroy` may remove the folder that was just made for it."""
    for _ in range(TRIES):
        with contextlib.suppress(FileNotFoundError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return path.open("wb")
    raise OSError("the folder does not stay")


@contextlib.contextmanager
def _as_storage_error() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ObjectMissing("the stored object is gone") from None
    except OSError:
        raise StorageUnavailable("the object store cannot be read or written; check its folder and disk") from None
