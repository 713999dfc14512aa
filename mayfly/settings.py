"""Every setting of Mayfly, read once from MAYFLY_… variables at an entry point and passed down from there."""

from __future__ import annotations

import tempfile
import urllib.parse
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
import pydantic
from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HOUR = 3600
DAY = 24 * HOUR


class Settings(BaseSettings):
    """Frozen; durations are seconds, sizes are bytes. Without a broker's URL Mayfly runs embedded.

    An empty variable, or one of blanks, is an unset one. Paths are absolute, whatever folder a process is in. An error
    names what is wrong and never repeats a value, which may be a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="MAYFLY_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("mayfly")),
        description="the embedded set-up's folder: database, object store, locks",
    )
    broker_url: pydantic.SecretStr | None = Field(default=None, description="amqp(s)://…; none: embedded")
    broker_admin_url: pydantic.SecretStr | None = Field(
        default=None,
        description="RabbitMQ's management address with an administrator's name; sets and checks the policies",
    )
    database_url: pydantic.SecretStr | None = Field(
        default=None, description="postgresql+psycopg://…; none: SQLite in home"
    )
    storage_url: pydantic.SecretStr | None = Field(
        default=None, description="s3://KEY:SECRET@HOST:PORT/BUCKET?secure=true; none: a folder in home"
    )
    scratch: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()),
        description="where workers make a private folder of their own, to keep a video while they process it",
    )
    models: Path | None = Field(
        default=None, description="the folder of models that `mayfly models add` filled; none: `models` in home"
    )
    models_url: pydantic.SecretStr | None = Field(
        default=None,
        description="a bucket of models, s3://… as storage_url; workers fetch what their folder lacks from there",
    )
    effect_modules: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="further modules that register effects, separated by commas"
    )

    # What an upload may be.
    max_bytes: int = Field(default=2 * 1024**3, gt=0)
    max_image_bytes: int = Field(default=100 * 1024**2, gt=0)
    max_pixels: int = Field(default=50_000_000, gt=0, description="of a picture")
    max_frame_pixels: int = Field(default=4096 * 2304, gt=0, description="of a video's frame")
    max_side: int = Field(default=16_384, gt=0, description="of a picture or frame")
    max_result_pixels: int = Field(default=256_000_000, gt=0, description="of what an effect makes of a picture")
    max_result_frame_pixels: int = Field(
        default=4 * 4096 * 2304, gt=0, description="of a frame of what it makes of a video"
    )
    max_frames: int = Field(default=36_000, gt=0)
    max_seconds: float = Field(default=600, gt=0)
    max_rate: int = Field(default=240, gt=0, description="frames a second of a video")

    # What may wait at once, as jobs that are not finished; one more is refused as `overloaded`.
    owner_waiting_jobs: int = Field(default=1_000, gt=0, description="of one owner")
    owner_waiting_bytes: int = Field(default=100 * 1024**3, gt=0, description="of one owner's uploads")
    waiting_jobs: int = Field(default=20_000, gt=0, description="of all, those without an owner among them")
    waiting_bytes: int = Field(default=1024**4, gt=0, description="of all uploads; less than the store's room")

    # Internal targets of retention; the maxima, which nothing can lengthen, are in mayfly.purge.policy.
    input_retention: float = Field(default=22 * HOUR, gt=0, le=24 * HOUR)
    result_retention: float = Field(default=14.5 * DAY, gt=0, le=15 * DAY)

    job_history: float = Field(
        default=15 * DAY,
        gt=0,
        le=15 * DAY,
        description="how long a job's rows outlive its last asset; then they are counted",
    )

    # Attempts.
    lease: float = Field(default=60, gt=0, description="a worker that is silent for so long has lost its job")
    upload_lease: float = Field(default=45, gt=0, le=60, description="a producer that is silent for so long has died")
    max_attempts: int = Field(default=3, ge=1)
    retry_delay: float = Field(default=5, gt=0, description="before the second attempt; doubles with each further one")
    image_time_limit: float = Field(default=300, gt=0, le=1500, description="for one effect on one picture")
    video_time_limit: float = Field(
        default=1500,
        gt=0,
        le=1500,
        description="for one effect on one video; Celery's own limit and RabbitMQ's lie above",
    )

    segment_seconds: float = Field(
        default=10, gt=0, description="of work in one segment of a video that takes over twice as long"
    )

    # Workers.
    child_memory: int = Field(
        default=6 * 1024**3, gt=0, description="a child that grew over this is replaced after its job"
    )
    threads: int = Field(
        default=0, ge=0, description="threads of torch in each child; 0: the cores shared out among children"
    )

    # Encoding of results.
    image_quality: int = Field(default=92, ge=1, le=100, description="of JPEG and lossy WebP")
    video_crf: int = Field(
        default=20, ge=0, le=51, description="x264's constant rate factor; lower is better and larger"
    )
    video_preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"
    ] = Field(default="veryfast", description="x264's preset")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _drop_blanks(cls, values: Any) -> Any:
        # Else a path would be the working folder, and an address none of the sentences below.
        return {name: value for name, value in values.items() if not (isinstance(value, str) and not value.strip())}

    @pydantic.field_validator("home", "scratch", "models")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @pydantic.field_validator("effect_modules", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name for name in value.split(",") if name) if isinstance(value, str) else value

    @pydantic.field_validator("broker_url")
    @classmethod
    def _check_broker(cls, value: pydantic.SecretStr | None) -> pydantic.SecretStr | None:
        if value is not None:
            _check_address(value, {"amqp", "amqps"}, "amqps://NAME:PASSWORD@HOST:PORT/VHOST")
        return value

    @pydantic.field_validator("broker_admin_url")
    @classmethod
    def _check_broker_admin(cls, value: pydantic.SecretStr | None) -> pydantic.SecretStr | None:
        if value is not None:
            _check_address(value, {"http", "https"}, "https://NAME:PASSWORD@HOST:PORT")
        return value

    @pydantic.field_validator("database_url")
    @classmethod
    def _check_database(cls, value: pydantic.SecretStr | None) -> pydantic.SecretStr | None:
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if scheme in ("postgres", "postgresql"):
            value = pydantic.SecretStr(f"postgresql+psycopg{separator}{rest}")
        form = "postgresql://NAME:PASSWORD@HOST:PORT/DATABASE"
        parts = _check_address(value, {"postgresql+psycopg"}, form)
        if not parts.path.strip("/"):
            raise ValueError(f"the address names no database; write {form}")
        return value

    @pydantic.field_validator("storage_url", "models_url")
    @classmethod
    def _check_storage(cls, value: pydantic.SecretStr | None) -> pydantic.SecretStr | None:
        if value is None or value.get_secret_value().startswith("file:///"):
            return value
        form = "s3://KEY:SECRET@HOST:PORT/BUCKET, the secret percent-encoded"
        parts = _check_address(value, {"s3"}, form)
        if not (parts.username and parts.password):
            raise ValueError(f"the address has no key and secret; write {form}")
        bucket = parts.path.strip("/")
        if not bucket or "/" in bucket:
            raise ValueError(f"the address names no bucket; write {form}")
        return value

    @pydantic.model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [url is not None for url in (self.broker_url, self.database_url, self.storage_url)]
        if any(given) and not all(given):
            raise ValueError("set all of MAYFLY_BROKER_URL, MAYFLY_DATABASE_URL and MAYFLY_STORAGE_URL, or none")
        return self

    @property
    def resolved_models(self) -> Path:
        """The folder of models that the operator added; it need not exist."""
        return self.models or self.home / "models"

    @property
    def embedded(self) -> bool:
        """Whether broker, database and store live in this process and in `home`."""
        return self.broker_url is None

    @property
    def resolved_broker_url(self) -> str:
        """The broker's URL; the in-process one when embedded."""
        return self.broker_url.get_secret_value() if self.broker_url else "memory://localhost"

    @property
    def resolved_database_url(self) -> str:
        """The database's URL; SQLite in `home` when embedded."""
        return self.database_url.get_secret_value() if self.database_url else f"sqlite:///{self.home / 'mayfly.db'}"

    @property
    def resolved_storage_url(self) -> str:
        """The object store's URL; a folder in `home` when embedded."""
        return (
            self.storage_url.get_secret_value()
            if self.storage_url
            else f"file://{urllib.parse.quote(str(self.home / 'objects'))}"
        )


def _check_address(value: pydantic.SecretStr, schemes: set[str], form: str) -> urllib.parse.SplitResult:
    """The parts of an address. Raises ValueError with a sentence that repeats nothing of it."""
    try:
        parts = urllib.parse.urlsplit(value.get_secret_value())
        port = parts.port
    except ValueError:
        raise ValueError(f"the address's host or port is none (a port is 1 to 65535); write {form}") from None
    if parts.scheme not in schemes:
        raise ValueError(f"the address begins with none of {', '.join(sorted(schemes))}; write {form}")
    # PostgreSQL's driver takes hosts, and a socket's folder, from the query as well.
    if not parts.hostname and "host" not in urllib.parse.parse_qs(parts.query):
        raise ValueError(f"the address names no host; write {form}")
    if port == 0:
        raise ValueError(f"the address's port is none (a port is 1 to 65535); write {form}")
    return parts
