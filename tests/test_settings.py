"""Settings: read from MAYFLY_…, frozen, secrets hidden, all URLs or none."""

import pytest
from pydantic import ValidationError

from mayfly.media import storage
from mayfly.settings import Settings

URLS = {
    "MAYFLY_BROKER_URL": "amqp://user:geheim@localhost/x",
    "MAYFLY_DATABASE_URL": "postgresql+psycopg://user:geheim@localhost/x",
    "MAYFLY_STORAGE_URL": "s3://user:geheim@localhost/x",
}


@pytest.fixture
def read(monkeypatch):
    """Settings of these variables."""

    def read(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return read


def test_embedded_is_the_default_and_lives_in_home(read, tmp_path):
    settings = read(MAYFLY_HOME=str(tmp_path))
    assert settings.embedded
    assert settings.resolved_broker_url.startswith("memory://")
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/mayfly.db"
    assert settings.resolved_storage_url == f"file://{tmp_path}/objects"


def test_urls_make_the_full_set_up(read):
    settings = read(**URLS)
    assert not settings.embedded
    assert settings.resolved_broker_url == URLS["MAYFLY_BROKER_URL"]
    assert settings.resolved_database_url == URLS["MAYFLY_DATABASE_URL"]
    assert settings.resolved_storage_url == URLS["MAYFLY_STORAGE_URL"]
    assert "geheim" not in f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"


@pytest.mark.parametrize("missing", URLS)
def test_some_urls_are_refused(read, missing):
    given = {name: value for name, value in URLS.items() if name != missing}
    with pytest.raises(ValidationError, match="all of"):
        read(**given)


@pytest.mark.parametrize("blank", ["", " ", " \t\n"])
@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_is_an_unset_one(read, monkeypatch, name, blank):
    monkeypatch.delenv("MAYFLY_EFFECT_MODULES")
    unset = Settings()
    assert getattr(read(**{f"MAYFLY_{name.upper()}": blank}), name) == getattr(unset, name)
    assert getattr(Settings(**{name: blank}), name) == getattr(unset, name)


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("missing", URLS)
def test_an_empty_address_is_a_missing_one(read, missing, blank):
    with pytest.raises(ValidationError, match="all of"):
        read(**URLS | {missing: blank})


@pytest.mark.parametrize("name", ["home", "scratch", "models"])
def test_a_path_means_the_same_in_every_process(read, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert getattr(read(**{f"MAYFLY_{name.upper()}": "sub/folder"}), name) == tmp_path / "sub" / "folder"
    assert getattr(read(**{f"MAYFLY_{name.upper()}": "~/folder"}), name) == tmp_path / "me" / "folder"


def test_a_home_of_any_name_holds_its_store(tmp_path):
    found = storage.connect(Settings(home=tmp_path / "a b#c?d%20e").resolved_storage_url)
    assert found.root == tmp_path / "a b#c?d%20e" / "objects"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_may_be_called_as_elsewhere(read, scheme):
    found = read(**URLS | {"MAYFLY_DATABASE_URL": f"{scheme}://user:geheim@localhost/x"})
    assert found.resolved_database_url == URLS["MAYFLY_DATABASE_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://user:geheim@/x?host=/var/run/postgresql"),
        ("STORAGE_URL", "file:///srv/mayfly"),
        ("STORAGE_URL", "s3://user:ge%2Fheim@localhost:9000/x?secure=false&region=eu"),
        ("BROKER_URL", "amqps://user:geheim@[::1]:5671"),
        ("BROKER_ADMIN_URL", "https://user:geheim@localhost:15671"),
    ],
)
def test_addresses_of_every_kind_are_taken(read, name, value):
    read(**URLS | {f"MAYFLY_{name}": value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BROKER_URL", "redis://user:geheim@localhost/x"),
        ("BROKER_URL", "amqp://user:geheim@localhost:99999/x"),
        ("BROKER_ADMIN_URL", "amqp://user:geheim@localhost/x"),
        ("DATABASE_URL", "postgresql://user:geheim@localhost"),
        ("STORAGE_URL", "s3://user:geheim@localhost"),
        ("MODELS_URL", "s3://localhost/geheim"),
    ],
)
def test_an_address_that_is_none_is_refused_by_name_and_not_repeated(read, name, value):
    with pytest.raises(ValidationError) as raised:
        read(**URLS | {f"MAYFLY_{name}": value})
    assert name.lower() in str(raised.value)
    assert "geheim" not in str(raised.value) and "localhost" not in str(raised.value)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().lease = 5


def test_effect_modules_are_separated_by_commas(read):
    assert read(MAYFLY_EFFECT_MODULES="a.b,c").effect_modules == ("a.b", "c")
    assert read(MAYFLY_EFFECT_MODULES="").effect_modules == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INPUT_RETENTION", "86401"),
        ("RESULT_RETENTION", "1296001"),
        ("INPUT_RETENTION", "0"),
        ("UPLOAD_LEASE", "61"),
        ("MAX_BYTES", "0"),
        ("MAX_SECONDS", "-1"),
        ("MAX_ATTEMPTS", "0"),
        ("LEASE", "0"),
        ("IMAGE_QUALITY", "101"),
        ("VIDEO_PRESET", "fast; rm -rf /"),
    ],
)
def test_what_is_out_of_bounds_is_refused(read, name, value):
    with pytest.raises(ValidationError):
        read(**{f"MAYFLY_{name}": value})


def test_a_job_fits_into_the_brokers_patience():
    settings = Settings()
    # RabbitMQ takes a message back after 30 minutes; Celery's own limit lies between.
    assert settings.image_time_limit < settings.video_time_limit < 1700 < 30 * 60
    assert settings.upload_lease < 60 and settings.lease <= 60
