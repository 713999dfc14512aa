"""A bucket's rules, on a real server: by its role, beside those of others; every version goes; locks are refused."""

import io
import urllib.parse
import uuid
from xml.etree import ElementTree as ET

import minio.commonconfig
import minio.error
import minio.versioningconfig
import pytest

from mayfly.db.states import Retention
from mayfly.media import storage
from mayfly.media.errors import StorageLocked, StorageUnavailable
from mayfly.media.storage import bucket_rules, s3
from mayfly.media.storage.store import DAYS, Protection, Role
from mayfly.purge import policy

ON = minio.versioningconfig.VersioningConfig(minio.commonconfig.ENABLED)
SUSPENDED = minio.versioningconfig.VersioningConfig(minio.versioningconfig.SUSPENDED)
THEIRS = """<Rule><ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter>
<Expiration><Days>90</Days></Expiration><Transition><Days>30</Days><StorageClass>STANDARD</StorageClass></Transition>
</Rule>"""
OLD = """<Rule><ID>mayfly-backstop</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>
<Expiration><Days>16</Days></Expiration></Rule>"""


@pytest.fixture
def bucket(servers):
    """Make a store of its own role on a bucket that exists already; removed with all that it holds."""
    url = urllib.parse.urlsplit(servers["MAYFLY_STORAGE_URL"])._replace(path=f"/test-{uuid.uuid4().hex[:12]}").geturl()
    client = storage.connect(url).client
    name = storage.connect(url).bucket

    def make(*, role=Role.UPLOADS, rules="", lock=False):
        client.make_bucket(name, object_lock=lock)
        if rules:
            body = f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>".encode()
            client.ask("PUT", name, "lifecycle", body)
        return storage.connect(url, role=role)

    make.url = url
    yield make
    for version in client.list_objects(name, recursive=True, include_version=True):
        client.remove_object(name, version.object_name, version_id=version.version_id)
    client.remove_bucket(name)


def rules(store):
    """The rules by name: prefix, days, days of old versions, days of unfinished uploads."""
    found = {}
    for rule in bucket_rules._rules(store.client, store.bucket):
        parts = ("Filter/Prefix", "Expiration/Days", "NoncurrentVersionExpiration/NoncurrentDays")
        parts += ("AbortIncompleteMultipartUpload/DaysAfterInitiation",)
        assert rule.findtext("Status") == "Enabled"
        found[rule.findtext("ID")] = tuple(rule.findtext(part) or "" for part in parts)
    return found


OURS = {
    "mayfly-face_input": ("face_input/", "1", "1", "1"),
    "mayfly-input": ("input/", "1", "1", "1"),
    "mayfly-intermediate": ("intermediate/", "1", "1", "1"),
    "mayfly-result": ("result/", "15", "1", "1"),
    "mayfly-preview": ("preview/", "15", "1", "1"),
}


def put(store, key):
    store.put(key, io.BytesIO(b"content"), 7)


def versions(store):
    return [
        found.object_name for found in store.client.list_objects(store.bucket, recursive=True, include_version=True)
    ]


def test_every_class_has_its_term():
    """Servers round days up, so nothing goes before its promise, and all within a day after it."""
    wanted = {f"{retention.value}/": policy.MAXIMUM[retention].days for retention in Retention}
    assert DAYS[Role.UPLOADS] == wanted


def test_a_new_bucket_has_its_rules_at_once(bucket):
    store = storage.connect(bucket.url)
    store.prepare()
    assert rules(store) == OURS


def test_a_bucket_that_was_there_gets_them_beside_those_of_others(bucket):
    store = bucket(rules=THEIRS)
    store.prepare()
    assert store.protect() == Protection([], ["1 rules of others are kept"])
    found = rules(store)
    assert found.pop("theirs") == ("logs/", "90", "", "")
    assert found == OURS
    (theirs,) = (rule for rule in bucket_rules._rules(store.client, store.bucket) if rule.findtext("ID") == "theirs")
    assert theirs.findtext("Transition/StorageClass") == "STANDARD"


def test_rules_that_are_right_are_not_written_again(bucket, monkeypatch):
    store = bucket()
    store.protect()
    asked, ask = [], store.client.ask
    monkeypatch.setattr(store.client, "ask", lambda method, *rest: (asked.append(method), ask(method, *rest))[1])
    assert store.protect() == Protection([], [])
    assert set(asked) == {"GET"}


@pytest.mark.parametrize(
    "changed",
    [
        "<Expiration><Days>300</Days></Expiration>",
        "<Expiration><Days>1</Days></Expiration><Status>Disabled</Status>",
        "<Expiration><Days>1</Days></Expiration><Filter><Prefix>elsewhere/</Prefix></Filter>",
    ],
    ids=["later", "disabled", "elsewhere"],
)
def test_a_rule_of_ours_that_somebody_changed_is_set_right(bucket, changed):
    rest = ("<Status>Enabled</Status>" if "Status" not in changed else "") + (
        "<Filter><Prefix>input/</Prefix></Filter>" if "Prefix" not in changed else ""
    )
    store = bucket(rules=f"<Rule><ID>mayfly-input</ID>{changed}{rest}</Rule>")
    assert store.protect().wrong == []
    assert rules(store) == OURS


@pytest.mark.parametrize("role", Role)
def test_the_old_rule_for_everything_goes(bucket, role):
    store = bucket(role=role, rules=OLD + THEIRS)
    assert store.protect().wrong == []
    assert set(rules(store)) == ({"theirs", *OURS} if role is Role.UPLOADS else {"theirs"})


def test_models_have_no_term(bucket):
    store = storage.connect(bucket.url, role=Role.MODELS)
    store.prepare()
    assert store.protect() == Protection([], [])
    assert rules(store) == {}


def test_a_bucket_for_both_keeps_the_rules_of_uploads(bucket):
    store = bucket()
    store.protect()
    assert storage.connect(bucket.url, role=Role.MODELS).protect() == Protection([], [])
    assert rules(store) == OURS


RULE = "<Rule><ID>{}</ID><Status>{}</Status><Filter>{}</Filter><Expiration><Days>{}</Days></Expiration></Rule>"


@pytest.mark.parametrize(
    ("role", "rule", "said"),
    [
        (Role.UPLOADS, RULE.format("x", "Enabled", "<Prefix></Prefix>", 7), "deletes result/, preview/ after 7 days"),
        (Role.UPLOADS, RULE.format("x", "Enabled", "<Prefix>res</Prefix>", 7), "deletes result/ after 7 days"),
        (Role.UPLOADS, RULE.format("x", "Enabled", "<Prefix>result/a</Prefix>", 7), "deletes result/ after 7 days"),
        (Role.UPLOADS, RULE.format("x", "Enabled", "<Prefix></Prefix>", 15), None),
        (Role.UPLOADS, RULE.format("x", "Disabled", "<Prefix></Prefix>", 7), None),
        (Role.UPLOADS, RULE.format("x", "Enabled", "<Tag><Key>a</Key><Value>b</Value></Tag>", 7), None),
        (Role.MODELS, RULE.format("x", "Enabled", "<Prefix></Prefix>", 900), "deletes models/ after 900 days"),
        (Role.MODELS, RULE.format("x", "Enabled", "<Prefix>input/</Prefix>", 1), None),
    ],
)
def test_a_rule_of_others_that_deletes_too_early_is_said(bucket, role, rule, said):
    store = bucket(role=role, rules=rule)
    wrong = store.protect().wrong
    assert wrong == ([] if said is None else [f"the rule x, which is not Mayfly's, {said}: too early"])
    assert "x" in rules(store) if "Enabled" in rule else True


class Client:
    """A server that takes no rules, or others than it was given; ours here does what it is told."""

    def __init__(self, refuse=None, forget=None):
        self.refuse, self.forget, self.body = refuse, forget, b"<LifecycleConfiguration/>"

    def ask(self, method, bucket, query, body=None):
        if self.refuse is not None:
            raise minio.error.S3Error(None, self.refuse, None, None, None, None)
        if method == "PUT":
            self.body = body.replace(*self.forget)
        return self.body


def test_rules_that_cannot_be_set_are_said():
    wrong, notes = bucket_rules.set_rules(Client(refuse="AccessDenied"), "b", DAYS[Role.UPLOADS])
    assert len(wrong) == 1 and "cannot be set (AccessDenied)" in wrong[0]
    assert notes == []
    assert bucket_rules.set_rules(Client(refuse="AccessDenied"), "b", DAYS[Role.MODELS]) == ([], [])


@pytest.mark.parametrize(
    ("forget", "count"),
    [
        ((b"<Days>15</Days>", b"<Days>150</Days>"), 2),
        ((b"Enabled", b"Disabled"), 5),
        ((b"<NoncurrentDays>1<", b"<NoncurrentDays>9<"), 5),
        ((b"<DaysAfterInitiation>1<", b"<DaysAfterInitiation>9<"), 5),
        # As MinIO does, which aborts them all by itself.
        ((b"<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
          b"</AbortIncompleteMultipartUpload>", b""), 0),
    ],
)  # fmt: skip
def test_rules_that_read_otherwise_than_they_were_set_are_said(forget, count):
    wrong, _ = bucket_rules.set_rules(Client(forget=forget), "b", DAYS[Role.UPLOADS])
    assert len(wrong) == count
    assert all("is not what was set" in line for line in wrong)


def test_what_is_not_known_of_versions_is_said():
    assert "AccessDenied" in bucket_rules.versions(Client(refuse="AccessDenied"), "b")


@pytest.mark.parametrize("then", [ON, SUSPENDED], ids=["on", "suspended"])
def test_every_version_is_destroyed(bucket, then):
    store = bucket()
    put(store, "input/a")
    store.client.set_bucket_versioning(store.bucket, ON)
    for _ in range(3):
        put(store, "input/a")
        put(store, "input/ab")
    # As an earlier deletion left it, by somebody who knew of no versions.
    store.client.remove_object(store.bucket, "input/a")
    put(store, "input/a")
    store.client.set_bucket_versioning(store.bucket, then)
    put(store, "input/a")
    assert [f"versioning is {then.status.lower()}: every version is destroyed"] == store.protect().notes
    assert versions(store).count("input/a") >= 5
    store.destroy("input/a")
    # A neighbour's stay, whose name begins alike.
    assert versions(store) == ["input/ab"] * 3
    store.destroy("input/a")
    store.destroy("input/never-there")
    assert versions(store) == ["input/ab"] * 3
    assert store.read("input/ab") == b"content"


def test_versions_that_stay_are_no_destruction(bucket, monkeypatch):
    store = bucket()
    store.client.set_bucket_versioning(store.bucket, ON)
    put(store, "input/a")
    # As where our key may delete no versions, and the server does not say so.
    with monkeypatch.context() as patched:
        patched.setattr(store.client, "remove_object", lambda *_arguments, **_options: None)
        with pytest.raises(StorageUnavailable, match="versions"):
            store.destroy("input/a")
    store.destroy("input/a")
    assert versions(store) == []


@pytest.mark.parametrize("destroy", [s3.S3Store.destroy, lambda store, key: store.destroy_many([key])])
def test_versioning_that_is_switched_on_meanwhile_is_noticed(bucket, destroy):
    store = bucket()
    put(store, "input/a")
    destroy(store, "input/a")
    store.client.set_bucket_versioning(store.bucket, ON)
    for _ in range(2):
        put(store, "input/a")
    destroy(store, "input/a")
    assert versions(store) == []


def test_where_nobody_may_ask_for_versions_many_are_deleted_one_by_one(bucket, monkeypatch):
    store = bucket()
    store.client.set_bucket_versioning(store.bucket, ON)

    def refused(*_):
        raise minio.error.S3Error(None, "AccessDenied", None, None, None, None)

    monkeypatch.setattr(bucket_rules, "versioning", refused)
    for _ in range(2):
        put(store, "input/a")
    store.destroy_many(["input/a"])
    assert versions(store) == []


def test_what_a_process_that_was_killed_left_of_versions_is_destroyed(bucket):
    """It had deleted the object, and not yet the versions."""
    store = bucket()
    store.client.set_bucket_versioning(store.bucket, ON)
    put(store, "input/a")
    assert store.client.delete(store.bucket, "input/a")
    storage.connect(bucket.url).destroy("input/a")
    assert versions(store) == []


def test_a_bucket_without_versions_is_not_asked_each_time(bucket, monkeypatch):
    store = bucket()
    asked, execute = [], store.client._execute
    monkeypatch.setattr(store.client, "_execute", lambda *args, **kw: (asked.append(args[0]), execute(*args, **kw))[1])
    for _ in range(3):
        store.destroy("input/a", unfinished=False)
    assert sorted(asked) == ["DELETE", "DELETE", "DELETE", "GET"]


def test_a_bucket_with_object_lock_is_refused(bucket):
    store = bucket(lock=True)
    with pytest.raises(StorageLocked) as raised:
        store.prepare()
    assert raised.value.code == "storage_locked"
    # Models are not to be deleted anyway.
    storage.connect(bucket.url, role=Role.MODELS).prepare()


def test_a_server_without_a_namespace_is_understood():
    body = '<LifecycleConfiguration xmlns="http://x/"><Rule><ID>a</ID></Rule></LifecycleConfiguration>'
    for text in (body, body.replace(' xmlns="http://x/"', "")):
        assert bucket_rules._parsed(text.encode()).findtext("Rule/ID") == "a"
    assert ET.tostring(bucket_rules._rule("input/", 1)).count(b"<Days>1</Days>") == 1
