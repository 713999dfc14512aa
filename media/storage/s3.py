"""Any S3 server, through minio's client."""

from __future__ import annotations

import contextlib
import datetime
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import minio
import minio.commonconfig
import minio.datatypes
import minio.deleteobjects
import minio.error
import minio.helpers
import urllib3

from mayfly.media.errors import ObjectMissing, StorageFull, StorageLocked, StorageUnavailable
from mayfly.media.storage import bucket_rules
from mayfly.media.storage import patience as patient
from mayfly.media.storage.store import DAYS, PATIENCE_SECONDS, Protection, Role, StoredObject
from mayfly.media.storage.streams import marked, written_here

PART_BYTES = 16 * 1024**2
CHUNK_BYTES = 1024 * 1024
VERSIONING_SECONDS = 60.0  # for which a bucket without versions is taken for one
FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})


class _Client(minio.Minio):
    """Minio's own, but what failed for the server's silence does not wait for the server once more."""

    def _abort_multipart_upload(self, bucket_name: str, object_name: str, upload_id: str) -> None:
        # Called while an upload's error is on its way, and no error of ours takes its place: `S3Store.destroy` removes
        # what is left here.
        if not isinstance(sys.exception(), urllib3.exceptions.HTTPError):
            with contextlib.suppress(minio.error.MinioException, urllib3.exceptions.HTTPError):
                self.abort(bucket_name, object_name, upload_id)

    def abort(self, bucket_name: str, object_name: str, upload_id: str) -> None:
        """Remove the parts of an upload; the client offers no public call for this."""
        super()._abort_multipart_upload(bucket_name, object_name, upload_id)

    def ask(self, method: str, bucket: str, query: str, body: bytes | None = None) -> bytes:
        """A request about a bucket's rules."""
        headers: dict[str, str | list[str] | tuple[str]] | None
        headers = None if body is None else {"Content-MD5": minio.helpers.md5sum_hash(body) or ""}
        answer = self._execute(method, bucket, body=body, headers=headers, query_params={query: ""})
        return bytes(answer.data)

    def delete(self, bucket: str, key: str) -> bool:
        """Delete an object. Whether the bucket kept a version of it, which the client's own call does not say."""
        headers = self._execute("DELETE", bucket, key).headers
        return "x-amz-delete-marker" in headers or "x-amz-version-id" in headers


class S3Store:
    """A bucket. Uploads over PART_BYTES go in parts, of which a few are in memory at a time."""

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        secure: bool,
        region: str,
        role: Role = Role.UPLOADS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.bucket = bucket
        self.role = role
        self._versioned: bool | None = False
        self._asked = float("-inf")
        # With the region given, the client does not ask the server for it first.
        self.client = _Client(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,
            http_client=patient.pool(patience),
        )

    def prepare(self) -> None:
        with _as_storage_error():
            if not self.client.bucket_exists(self.bucket):
                with contextlib.suppress(minio.error.S3Error):  # another process was quicker
                    self.client.make_bucket(self.bucket)
                self.protect()
            if self.role is Role.UPLOADS and bucket_rules.is_locked(self.client, self.bucket):
                raise StorageLocked

    def protect(self) -> Protection:
        uploads = self.role is Role.UPLOADS
        with _as_storage_error():
            wrong, notes = bucket_rules.set_rules(self.client, self.bucket, DAYS[self.role])
            versions = bucket_rules.versions(self.client, self.bucket) if uploads else None
        return Protection(wrong, [*notes, *([versions] if versions else [])])

    def put(self, key: str, stream: BinaryIO, size: int) -> None:
        with marked(stream) as source, _as_storage_error():
            # A known length under the part size is a single request.
            self.client.put_object(self.bucket, key, source, size, part_size=PART_BYTES)

    def read(self, key: str) -> bytes:
        with _as_storage_error():
            response = self.client.get_object(self.bucket, key)
            try:
                return response.data
            finally:
                response.release_conn()

    def fetch(self, key: str, target: Path) -> None:
        with written_here(), target.open("wb") as file:
            self.write_to(key, file)

    def write_to(self, key: str, target: BinaryIO) -> None:
        with marked(target) as sink, _as_storage_error():
            response = self.client.get_object(self.bucket, key)
            try:
                for chunk in response.stream(CHUNK_BYTES):
                    sink.write(chunk)
            finally:
                response.release_conn()

    def size(self, key: str) -> int | None:
        try:
            with _as_storage_error():
                return self.client.stat_object(self.bucket, key).size
        except ObjectMissing:
            return None

    def destroy(self, key: str, *, unfinished: bool = True) -> None:
        with _as_storage_error():
            if self.client.delete(self.bucket, key) or self._keeps_versions():
                self._destroy_versions(key)
            for upload in self._unfinished(key) if unfinished else ():
                if upload.object_name == key and upload.upload_id is not None:
                    self.client.abort(self.bucket, key, upload.upload_id)

    def destroy_many(self, keys: Sequence[str]) -> None:
        # Asked each time, for the answer to many deletions does not name the versions that stay.
        if self._keeps_versions(for_seconds=0) is not False:
            for key in keys:
                self.destroy(key, unfinished=False)
            return
        named = [minio.deleteobjects.DeleteObject(key) for key in keys]
        with _as_storage_error():
            # Nothing is asked for until the answer is read.
            for error in self.client.remove_objects(self.bucket, named):
                raise StorageUnavailable(f"the object store refused a request ({error.code})")

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        clock = datetime.datetime.now(datetime.UTC)
        with _as_storage_error():
            for entry in self.client.list_objects(self.bucket, prefix=prefix, recursive=True):
                yield StoredObject(entry.object_name or "", entry.size or 0, entry.last_modified or clock)
            for upload in self._unfinished(prefix):
                yield StoredObject(upload.object_name, 0, upload.initiated_time or clock)

    def _keeps_versions(self, *, for_seconds: float = VERSIONING_SECONDS) -> bool | None:
        """Whether the bucket keeps versions or once did, None where we may not ask; asked again after a while.

        The answer to a deletion does not suffice: Ceph's says nothing where the last version is a deletion already.
        """
        if not self._versioned and time.monotonic() - self._asked > for_seconds:
            with _as_storage_error():
                try:
                    self._versioned = bool(bucket_rules.versioning(self.client, self.bucket))
                except minio.error.S3Error:
                    self._versioned = None
            self._asked = time.monotonic()
        return self._versioned

    def _destroy_versions(self, key: str) -> None:
        for version in self._versions(key):
            self.client.remove_object(self.bucket, key, version_id=version.version_id)
        if self._versions(key):
            raise StorageUnavailable("the object store keeps versions of what was deleted; check MAYFLY_STORAGE_URL")

    def _versions(self, key: str) -> list[minio.datatypes.Object]:
        """All versions of an object, and the marks of their deletion."""
        found = self.client.list_objects(self.bucket, prefix=key, recursive=True, include_version=True)
        return [version for version in found if version.object_name == key]

    def _unfinished(self, prefix: str) -> list[minio.datatypes.Upload]:
        return self.client._list_multipart_uploads(self.bucket, prefix=prefix).uploads


@contextlib.contextmanager
def _as_storage_error() -> Iterator[None]:
    try:
        yield
    except minio.error.S3Error as error:
        if error.code in {"NoSuchKey", "NoSuchObject"}:
            raise ObjectMissing("the stored object is gone") from None
        if error.code in FULL:
            raise StorageFull from None
        raise StorageUnavailable(f"the object store refused a request ({error.code})") from None
    except (minio.error.MinioException, urllib3.exceptions.HTTPError, OSError):
        raise StorageUnavailable("the object store does not answer; check MAYFLY_STORAGE_URL") from None
