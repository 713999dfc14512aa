"""Both stores, by the same tests: an object is whole or not there, and what is destroyed is gone."""

import datetime
import errno
import http.server
import io
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mayfly import folders
from mayfly.errors import FolderRefused
from mayfly.media import storage
from mayfly.media.errors import DiskFull, MachineFault, ObjectMissing, StorageError, StorageFull, StorageUnavailable
from mayfly.media.storage.folder import FolderStore
from mayfly.media.storage.s3 import PART_BYTES, S3Store
from mayfly.media.storage.store import Protection

MIB = 1024**2


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    if request.param == "folder":
        opened = storage.connect(f"file://{tmp_path / 'objects'}")
    else:
        opened = storage.connect(request.getfixturevalue("servers")["MAYFLY_STORAGE_URL"])
    opened.prepare()
    return opened


@pytest.fixture
def prefix():
    """A part of the bucket that is this test's alone."""
    return f"test/{uuid.uuid4()}"


def put(store, key, content=b"content"):
    store.put(key, io.BytesIO(content), len(content))


def keys(store, prefix):
    return [found.key for found in store.objects(prefix)]


class Broken(io.RawIOBase):
    """A stream that fails after some bytes."""

    def __init__(self, size, error):
        self.left = size
        self.error = error

    def readable(self):
        return True

    def read(self, size=-1):
        if self.left <= 0:
            raise self.error
        count = min(self.left, size if size >= 0 else self.left)
        self.left -= count
        return b"x" * count


def test_preparing_again_is_harmless(store, prefix):
    put(store, f"{prefix}/a")
    store.prepare()
    assert store.read(f"{prefix}/a") == b"content"


def test_what_was_put_comes_back_in_every_way(store, prefix, tmp_path):
    content = bytes(range(256)) * 5000
    put(store, f"{prefix}/a", content)
    assert store.size(f"{prefix}/a") == len(content)
    assert store.read(f"{prefix}/a") == content
    store.fetch(f"{prefix}/a", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == content
    stream = io.BytesIO()
    store.write_to(f"{prefix}/a", stream)
    assert stream.getvalue() == content


def test_a_put_takes_the_place_of_what_was_there(store, prefix):
    put(store, f"{prefix}/a", b"first and longer")
    put(store, f"{prefix}/a", b"second")
    assert store.read(f"{prefix}/a") == b"second"


def test_an_empty_object_is_an_object(store, prefix):
    put(store, f"{prefix}/a", b"")
    assert store.size(f"{prefix}/a") == 0


def test_what_is_not_there_is_said_to_be_missing(store, prefix, tmp_path):
    key = f"{prefix}/none"
    assert store.size(key) is None
    for call in (
        lambda: store.read(key),
        lambda: store.fetch(key, tmp_path / "x"),
        lambda: store.write_to(key, io.BytesIO()),
    ):
        with pytest.raises(ObjectMissing) as raised:
            call()
        assert raised.value.code == "object_missing"
        assert prefix not in str(raised.value)


def test_what_is_destroyed_is_gone(store, prefix):
    for name in ("a", "b"):
        put(store, f"{prefix}/{name}")
    store.destroy(f"{prefix}/a")
    assert store.size(f"{prefix}/a") is None
    with pytest.raises(ObjectMissing):
        store.read(f"{prefix}/a")
    assert keys(store, prefix) == [f"{prefix}/b"]
    store.destroy(f"{prefix}/a")
    store.destroy(f"{prefix}/never-there")


def test_many_are_destroyed_at_once(store, prefix):
    for name in ("a", "b", "c"):
        put(store, f"{prefix}/{name}")
    store.destroy_many([f"{prefix}/a", f"{prefix}/never-there", f"{prefix}/c"])
    assert keys(store, prefix) == [f"{prefix}/b"]
    store.destroy_many([])


def test_a_listing_tells_key_size_and_time(store, prefix):
    put(store, f"{prefix}/one/a", b"123")
    put(store, f"{prefix}/two/b", b"12345")
    found = {entry.key: entry for entry in store.objects(prefix)}
    assert {key: entry.size for key, entry in found.items()} == {f"{prefix}/one/a": 3, f"{prefix}/two/b": 5}
    for entry in found.values():
        assert abs(datetime.datetime.now(datetime.UTC) - entry.modified) < datetime.timedelta(minutes=5)
    assert keys(store, f"{prefix}/two") == [f"{prefix}/two/b"]
    assert set(found) <= set(keys(store, ""))


@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt(), ValueError("x")], ids=type)
def test_an_interrupted_upload_leaves_no_object(store, prefix, error):
    key = f"{prefix}/a"
    with pytest.raises(type(error)) as raised:  # the caller's own, and not the store's
        store.put(key, Broken(3 * MIB, error), 5 * MIB)
    assert raised.value is error
    assert store.size(key) is None
    with pytest.raises(ObjectMissing):
        store.read(key)
    store.destroy(key)
    assert keys(store, prefix) == []


def test_a_stream_that_ends_early_is_no_object(store, prefix):
    key = f"{prefix}/a"
    with pytest.raises(StorageError):
        store.put(key, io.BytesIO(b"123"), 5)
    assert store.size(key) is None
    store.destroy(key)
    assert keys(store, prefix) == []


def test_an_object_of_several_parts_comes_back_whole(store, prefix, tmp_path):
    content = b"0123456789abcdef" * ((PART_BYTES + 5 * MIB) // 16) + b"end"
    put(store, f"{prefix}/a", content)
    assert store.size(f"{prefix}/a") == len(content)
    store.fetch(f"{prefix}/a", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == content
    store.destroy(f"{prefix}/a")
    assert keys(store, prefix) == []


def test_what_an_interrupted_upload_of_several_parts_left_is_listed_and_destroyed(store, prefix):
    class Killed(io.RawIOBase):
        """Stands for a process that dies here: nothing after it runs."""

        left = PART_BYTES + MIB

        def read(self, size=-1):
            if self.left <= 0:
                stuck.set()
                release.wait(60)
                raise OSError("killed")
            count = min(size, self.left)
            self.left -= count
            return b"x" * count

    stuck, release = threading.Event(), threading.Event()
    key = f"{prefix}/a"

    def upload():
        with pytest.raises(OSError, match="killed"):
            store.put(key, Killed(), 2 * PART_BYTES + MIB)

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    try:
        assert stuck.wait(60)
        assert store.size(key) is None
        assert keys(store, prefix) == [key]
        store.destroy(key)
        assert keys(store, prefix) == []
    finally:
        release.set()
        thread.join(60)
    assert store.size(key) is None


class Full(io.RawIOBase):
    """A target that takes some bytes and then fails as a full disk does."""

    def writable(self):
        return True

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_target_that_fails_is_not_the_stores_fault(store, prefix):
    put(store, f"{prefix}/a")
    with pytest.raises(OSError, match="No space"):
        store.write_to(f"{prefix}/a", Full())
    assert store.read(f"{prefix}/a") == b"content"


def test_a_file_that_cannot_be_written_is_this_machines_fault(store, prefix, tmp_path):
    put(store, f"{prefix}/a")
    with pytest.raises(DiskFull):
        store.fetch(f"{prefix}/a", Path("/dev/full"))
    with pytest.raises(MachineFault) as raised:
        store.fetch(f"{prefix}/a", tmp_path / "gone" / "target")
    assert type(raised.value) is MachineFault
    assert str(tmp_path) not in str(raised.value)


def test_neighbours_come_and_go_at_once(store, prefix):
    barrier = threading.Barrier(4, timeout=30)

    def work(number):
        barrier.wait()
        for turn in range(25):
            key = f"{prefix}/{number}-{turn}/0/a"
            put(store, key)
            assert store.read(key) == b"content"
            store.destroy(key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4), timeout=60))
    assert keys(store, prefix) == []


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/outside", "..", "a/.."])
def test_keys_stay_inside_the_folder(tmp_path, key):
    store = FolderStore(tmp_path / "objects")
    store.prepare()
    (tmp_path / "outside").write_bytes(b"precious")
    for call in (
        lambda: put(store, key),
        lambda: store.read(key),
        lambda: store.size(key),
        lambda: store.destroy(key),
        lambda: store.fetch(key, tmp_path / "x"),
        lambda: store.write_to(key, io.BytesIO()),
    ):
        with pytest.raises(ValueError, match="inside"):
            call()
    assert (tmp_path / "outside").read_bytes() == b"precious"


def test_a_folders_empty_folders_go_as_well(tmp_path):
    store = FolderStore(tmp_path / "objects")
    store.prepare()
    put(store, "input/job/0/asset")
    put(store, "input/other/0/asset")
    store.destroy("input/job/0/asset")
    assert [path.name for path in (tmp_path / "objects" / "input").iterdir()] == ["other"]
    store.destroy("input/other/0/asset")
    assert [path.name for path in (tmp_path / "objects").iterdir()] == [folders.MARK]
    assert list(store.objects()) == []


def test_a_neighbour_that_removes_the_new_folder_stops_nobody(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / "objects")
    store.prepare()
    mkdir, removed = Path.mkdir, []

    def and_gone(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        if path.name == "0" and not removed:
            path.rmdir()
            removed.append(path)

    monkeypatch.setattr(Path, "mkdir", and_gone)
    put(store, "input/job/0/asset")
    assert removed
    assert store.read("input/job/0/asset") == b"content"


def test_a_folder_is_private(tmp_path):
    store = FolderStore(tmp_path / "home" / "objects")
    store.prepare()
    put(store, "input/job/a")
    # Nobody else comes past its root, nor past a home that is made for it.
    for path in (tmp_path / "home", tmp_path / "home" / "objects"):
        assert path.stat().st_mode & 0o077 == 0
    assert store.protect() == Protection([], [])


def test_a_folder_with_other_files_is_no_store(tmp_path):
    (tmp_path / "objects").mkdir(mode=0o700)
    (tmp_path / "objects" / "precious").write_text("x")
    with pytest.raises(FolderRefused) as raised:
        FolderStore(tmp_path / "objects").prepare()
    assert str(tmp_path) not in str(raised.value)
    assert [path.name for path in (tmp_path / "objects").iterdir()] == ["precious"]


def test_a_folder_of_models_may_be_anybodys(tmp_path):
    (tmp_path / "models").mkdir(mode=0o755)
    (tmp_path / "models" / "readme").write_text("x")
    storage.connect(f"file://{tmp_path / 'models'}", role=storage.Role.MODELS).prepare()
    assert (tmp_path / "models").stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_written_is_said_in_our_words(tmp_path):
    (tmp_path / "objects").write_text("a file is in the way")
    store = FolderStore(tmp_path / "objects")
    with pytest.raises(StorageUnavailable) as raised:
        put(store, "a")
    assert str(tmp_path) not in str(raised.value)


def test_a_full_folder_is_said_to_be_full(tmp_path):
    store = FolderStore(tmp_path)
    (tmp_path / "a.part").symlink_to("/dev/full")
    with pytest.raises(StorageFull) as raised:
        put(store, "a")
    assert raised.value.code == "storage_full"


def test_one_of_many_that_a_bucket_keeps_is_an_error():
    """As a locked object is; the answer as a whole says that all went well."""

    class Locked(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer("VersioningConfiguration", "")

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer("DeleteResult", "<Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error>")

        def answer(self, name, content):
            answer = f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{name}>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Locked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            store = storage.connect(f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false")
            with pytest.raises(StorageUnavailable, match="AccessDenied"):
                store.destroy_many(["a", "b"])
        finally:
            server.shutdown()
            thread.join()


def test_a_full_bucket_is_said_to_be_full():
    """In the words of Ceph's quota, which a trial server of ours has none of."""

    class Quota(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            answer = b"<Error><Code>QuotaExceeded</Code></Error>"
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Quota) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            with pytest.raises(StorageFull):
                put(storage.connect(f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false"), "a")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "call",
    [
        lambda store, target: store.size("loop/a"),
        lambda store, target: store.read("loop/a"),
        lambda store, target: store.fetch("loop/a", target),
        lambda store, target: store.write_to("loop/a", io.BytesIO()),
        lambda store, target: store.destroy("loop/a"),
        lambda store, target: put(store, "loop/a"),
        lambda store, target: list(store.objects()),
    ],
    ids=["size", "read", "fetch", "write_to", "destroy", "put", "objects"],
)
def test_a_folder_that_cannot_be_looked_into_is_no_empty_one(tmp_path, call):
    """An unread folder that passed for an empty one would be a receipt for bytes that are still there."""
    store = FolderStore(tmp_path / "objects")
    store.prepare()
    (tmp_path / "objects" / "loop").symlink_to("loop")
    with pytest.raises(StorageUnavailable) as raised:
        call(store, tmp_path / "target")
    assert str(tmp_path) not in str(raised.value)


def test_a_root_that_is_not_there_is_no_empty_store(tmp_path):
    """A disk that is not mounted: what lies on it is neither missing nor destroyed."""
    store = FolderStore(tmp_path / "objects")
    for call in (lambda: store.size("a"), lambda: store.read("a"), lambda: list(store.objects())):
        with pytest.raises(StorageUnavailable) as raised:
            call()
        assert str(tmp_path) not in str(raised.value)


def test_a_root_that_is_no_folder_is_no_empty_store(tmp_path):
    (tmp_path / "objects").write_text("a file is in the way")
    with pytest.raises(StorageUnavailable):
        list(FolderStore(tmp_path / "objects").objects())


def test_a_server_that_does_not_answer_is_said_in_our_words():
    store = storage.connect("s3://key:geheim@127.0.0.1:1/bucket?secure=false")
    for call in (store.prepare, lambda: put(store, "a"), lambda: store.size("a"), lambda: store.destroy("a")):
        with pytest.raises(StorageUnavailable) as raised:
            call()
        assert raised.value.code == "storage_unreachable"
        assert "geheim" not in str(raised.value)


def test_wrong_keys_are_refused_and_not_missing(servers):
    url = servers["MAYFLY_STORAGE_URL"]
    start, _, rest = url.rpartition("@")
    store = storage.connect(f"{start}wrong@{rest}")
    with pytest.raises(StorageUnavailable, match="refused"):
        put(store, "a")
    with pytest.raises(StorageUnavailable):
        store.read("a")


def test_urls_name_a_store():
    folder = storage.connect("file:///var/lib/may%20fly")
    assert isinstance(folder, FolderStore)
    assert str(folder.root) == "/var/lib/may fly"
    bucket = storage.connect("s3://key:se%2Fcret@example.org:9000/photos?secure=false")
    assert isinstance(bucket, S3Store)
    assert bucket.bucket == "photos"
    assert str(bucket.client._base_url._url.geturl()).startswith("http://example.org:9000")
    assert bucket.client._provider.retrieve().secret_key == "se/cret"
    secure = storage.connect("s3://key:secret@example.org/photos")
    assert str(secure.client._base_url._url.geturl()).startswith("https://example.org")


def test_what_a_url_may_say_of_a_bucket():
    plain = storage.connect("s3://k%2Fey:secret@example.org:9000/photos")
    assert (plain.client._provider.retrieve().access_key, plain.client._base_url.region) == ("k/ey", "us-east-1")
    assert (plain.role, plain.client._http.connection_pool_kw["timeout"].read_timeout) == (storage.Role.UPLOADS, 30.0)
    url = "s3://key:secret@example.org/photos/?region=eu-1&secure=true"
    other = storage.connect(url, role=storage.Role.MODELS, patience=3.0)
    assert (other.bucket, other.client._base_url.region, other.client._base_url.is_https) == ("photos", "eu-1", True)
    assert (other.role, other.client._http.connection_pool_kw["timeout"].read_timeout) == (storage.Role.MODELS, 3.0)
    assert storage.connect("file:///var/lib/x").role is storage.Role.UPLOADS
    assert storage.connect("file:///var/lib/x", role=storage.Role.MODELS).role is storage.Role.MODELS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://example.org/bucket",
        "s3://key:geheim@example.org",
        "s3://key:geheim@example.org/",
        "http://key:geheim@example.org/x",
        "file://",
    ],
)
def test_other_urls_are_refused_without_repeating_them(url):
    with pytest.raises(ValueError, match="a storage URL is") as raised:
        storage.connect(url)
    assert "geheim" not in str(raised.value)
