"""A bucket of models: what one machine shares, another fetches; what was changed on the way is refused."""

import pytest

from mayfly.effects.errors import WeightsError
from mayfly.effects.models import install, weights
from mayfly.media import storage
from mayfly.settings import Settings
from mayfly.tasks import models
from tests.effects import checkpoints


@pytest.fixture
def here(tmp_path):
    """A folder with one model."""
    folder = tmp_path / "here"
    source = checkpoints.compact(tmp_path / "published.pth")
    install.add(source, folder, name="tiny", version="1", licence="BSD-3-Clause", origin="this test")
    return folder


@pytest.fixture
def bucket(tmp_path):
    return storage.connect(f"file://{tmp_path / 'bucket'}")


@pytest.fixture(autouse=True)
def _used_by_nobody_else():
    yield
    weights.use(None)


def test_what_is_shared_is_fetched_once(here, bucket, tmp_path):
    there = tmp_path / "there"
    models.share(bucket, here, "tiny")
    assert models.fetch(bucket, there) == ["tiny"]
    assert weights.manifest(there) == weights.manifest(here)
    install.verify("tiny", there)
    assert models.fetch(bucket, there) == []


def test_an_empty_bucket_gives_nothing(bucket, tmp_path):
    bucket.prepare()
    assert models.fetch(bucket, tmp_path / "there") == []


def test_what_the_folder_has_besides_is_kept(here, bucket, tmp_path):
    there = tmp_path / "there"
    source = checkpoints.animegan(tmp_path / "other.pth")
    install.add(source, there, name="other", version="1", licence="MIT", origin="this test")
    models.share(bucket, here, "tiny")
    models.fetch(bucket, there)
    assert set(weights.manifest(there)) == {"tiny", "other"}


def test_changed_bytes_are_refused(here, bucket, tmp_path):
    models.share(bucket, here, "tiny")
    data = tmp_path / "changed"
    key = f"models/{weights.entry('tiny', here).sha256}"
    data.write_bytes(bucket.read(key)[:-1] + b"\x01")
    with data.open("rb") as stream:
        bucket.put(key, stream, data.stat().st_size)
    there = tmp_path / "there"
    with pytest.raises(WeightsError, match="not what its manifest names"):
        models.fetch(bucket, there)
    assert not (there / "manifest.json").exists()


def test_workers_use_the_folder_and_the_bucket(here, bucket, tmp_path):
    models.share(bucket, here, "tiny")
    settings = Settings(home=tmp_path / "home", models_url=f"file://{tmp_path / 'bucket'}")
    models.use(settings)
    assert weights.model("tiny")[1] == tmp_path / "home" / "models"


def test_without_the_bucket_what_is_there_is_used(here, tmp_path, monkeypatch):
    def silent(_url, **_options):
        from mayfly.media.errors import StorageUnavailable

        raise StorageUnavailable("the store does not answer")

    monkeypatch.setattr(storage, "connect", silent)
    models.use(Settings(models=here, models_url="s3://key:secret@localhost:1/models"))
    assert "tiny" in weights.installed()
