"""The store of the embedded set-up: a private folder, one file an object."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from mayfly import folders
from mayfly.media.errors import ObjectMissing, StorageFull, StorageUnavailable
from mayfly.media.storage.store import Protection, Role, StoredObject
from mayfly.media.storage.streams import FULL, marked, written_here

CHUNK_BYTES = 1024 * 1024
PART = ".part"
TRIES = 20


class FolderStore:
    """Objects as files under `root`; a file that is being written carries another suffix until it is whole."""

    def __init__(self, root: Path, *, role: Role = Role.UPLOADS) -> None:
        self.root = root
        self.role = role

    def prepare(self) -> None:
        with _as_storage_error(self.root):
            if self.role is Role.UPLOADS:
                folders.private(self.root, what="the object store's folder", marked=True)
            else:
                self.root.mkdir(parents=True, exist_ok=True)

    def protect(self) -> Protection:
        return Protection([], [])

    def put(self, key: str, stream: BinaryIO, size: int) -> None:
        target = self._path(key)
        with marked(stream) as source, _as_storage_error(self.root):
            part = Path(f"{target}{PART}")
            with _opened_in_its_folder(part) as file:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                if file.tell() != size:
                    raise OSError("the stream ended early")
            part.rename(target)

    def read(self, key: str) -> bytes:
        with _as_storage_error(self.root):
            return self._path(key).read_bytes()

    def fetch(self, key: str, target: Path) -> None:
        with written_here(), target.open("wb") as file:
            self.write_to(key, file)

    def write_to(self, key: str, target: BinaryIO) -> None:
        with marked(target) as sink, _as_storage_error(self.root), self._path(key).open("rb") as file:
            shutil.copyfileobj(file, sink, CHUNK_BYTES)

    def size(self, key: str) -> int | None:
        try:
            with _as_storage_error(self.root):
                return self._path(key).stat().st_size
        except ObjectMissing:
            return None

    def destroy(self, key: str, *, unfinished: bool = True) -> None:
        path = self._path(key)
        with _as_storage_error(self.root):
            path.unlink(missing_ok=True)
            if unfinished:
                Path(f"{path}{PART}").unlink(missing_ok=True)
        # A job's empty folders would be a trace of it; somebody else's file in one ends the climb.
        with contextlib.suppress(OSError):
            for folder in path.parents:
                if folder == self.root:
                    break
                folder.rmdir()

    def destroy_many(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.destroy(key, unfinished=False)

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        # Only where they can be: a sweep asks for one asset after the other.
        folder = self._path(prefix.rpartition("/")[0])
        with _as_storage_error(self.root):
            found = sorted(self._files(folder))
        for path in found:
            key = path.relative_to(self.root).as_posix().removesuffix(PART)
            if not key.startswith(prefix):
                continue
            with contextlib.suppress(ObjectMissing), _as_storage_error(self.root):  # destroyed while we look
                status = path.stat()
                modified = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
                yield StoredObject(key=key, size=status.st_size, modified=modified)

    def _files(self, top: Path) -> Iterator[Path]:
        def unread(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError) or not self.root.is_dir():
                raise error  # else a folder that was removed while we look

        for folder, _, names in os.walk(top, onerror=unread):
            yield from (Path(folder, name) for name in names if name != folders.MARK)

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
def _as_storage_error(root: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        if root.is_dir():
            raise ObjectMissing("the stored object is gone") from None
        # Say, a disk that is not mounted: nothing is known of what lies there.
        raise StorageUnavailable("the object store's folder is not there; check its disk") from None
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull from None
        raise StorageUnavailable("the object store cannot be read or written; check its folder and disk") from None
