"""A worker's start looks after its store: the rules of its bucket are set, and what is wrong with them is said."""

import urllib.parse
import uuid

import pytest

from mayfly.media import storage
from mayfly.media.errors import StorageLocked
from mayfly.media.storage import bucket_rules
from mayfly.tasks import runtime
from mayfly.tasks.app import create

THEIRS = b"""<LifecycleConfiguration><Rule><ID>theirs</ID><Status>Enabled</Status><Prefix></Prefix>
<Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>"""


@pytest.fixture
def start(full, tmp_path, monkeypatch):
    """Start a runtime on a bucket that is there already, with or without object lock."""
    monkeypatch.setattr(runtime, "_current", None)
    url = urllib.parse.urlsplit(full.resolved_storage_url)._replace(path=f"/test-{uuid.uuid4().hex[:12]}").geturl()
    settings = type(full)(storage_url=url)
    store = storage.connect(url)

    def start(*, lock=False, rules=None):
        store.client.make_bucket(store.bucket, object_lock=lock)
        if rules is not None:
            store.client.ask("PUT", store.bucket, "lifecycle", rules)
        started = runtime.start(settings, create(settings), scratch=tmp_path / "scratch")
        started.close()
        started.engine.dispose()
        return store

    yield start
    store.client.remove_bucket(store.bucket)


def test_an_existing_bucket_gets_the_rules_of_uploads(start, caplog):
    store = start(rules=THEIRS)
    names = {rule.findtext("ID") for rule in bucket_rules._rules(store.client, store.bucket)}
    assert {"theirs", "mayfly-input", "mayfly-result"} < names
    said = [record.getMessage() for record in caplog.records if record.name == "mayfly.tasks.runtime"]
    assert len(said) == 1 and "theirs" in said[0] and "too early" in said[0]


def test_a_worker_does_not_start_on_a_bucket_with_object_lock(start):
    with pytest.raises(StorageLocked):
        start(lock=True)
