"""What `mayfly doctor` asks: does each part answer, and does it do what we need."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import shutil
import subprocess
import uuid
from collections.abc import Callable

import sqlalchemy.exc

from db import engine as engines
from db import migrate
from errors import MayflyError
from media import storage
from settings import Settings


@dataclasses.dataclass(frozen=True)
class Check:
    """One part and how it is."""

    name: str
    ok: bool
    detail: str


def run(settings: Settings) -> list[Check]:
    """Check every part; none of them raises."""
    parts: dict[str, Callable[[Settings], str]] = {
        "broker": _broker,
        "database": _database,
        "storage": _storage,
        "ffmpeg": _ffmpeg,
        "devices": _devices,
    }
    found = []
    for name, part in parts.items():
        try:
            found.append(Check(name, True, part(settings)))
        except MayflyError as error:
            found.append(Check(name, False, f"{error.code}: {error}"))
        except (OSError, ValueError, subprocess.SubprocessError, sqlalchemy.exc.SQLAlchemyError) as error:
            found.append(Check(name, False, type(error).__name__))
    return found


def _broker(settings: Settings) -> str:
    if settings.embedded:
        return "in-process"
    from tasks import broker

    depths = broker.depths(settings)
    missing = "" if depths else "; no queues yet, a worker declares them"
    waiting = ", ".join(f"{name} {depth}" for name, depth in depths.items() if depth)
    return f"answers; waiting messages: {waiting or 'none'}{missing}"


def _database(settings: Settings) -> str:
    engine = engines.connect(settings.resolved_database_url)
    revision = migrate.revision(engine)
    state = "as it should be" if revision == migrate.HEAD else f"not {migrate.HEAD}: the first process upgrades it"
    return f"{engine.dialect.name} answers; revision {revision}, {state}"


def _storage(settings: Settings) -> str:
    store = storage.connect(settings.resolved_storage_url)
    store.prepare()
    key, content = f"doctor/{uuid.uuid4()}", b"mayfly"
    store.put(key, io.BytesIO(content), len(content))
    try:
        if store.read(key) != content:
            raise OSError
    finally:
        store.destroy(key)
    return "stores, reads and deletes"


def _ffmpeg(_: Settings) -> str:
    found = []
    for name in ("ffmpeg", "ffprobe"):
        if shutil.which(name) is None:
            raise MayflyError(f"{name} is not installed; install Debian's package ffmpeg")
        listing = subprocess.run([name, "-version"], capture_output=True, text=True, timeout=10, check=True)
        found.append(" ".join(listing.stdout.split()[:3]))
    return ", ".join(found)


def _devices(_: Settings) -> str:
    if importlib.util.find_spec("torch") is None:
        return "no torch: this installation can submit, not work"
    from workers import devices

    return ", ".join(f"{gpu.name}: {', '.join(gpu.tags)}" for gpu in devices.find()) or "no GPU; cpu"
