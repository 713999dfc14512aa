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

from mayfly.db import engine as engines
from mayfly.db import jobs, migrate, room
from mayfly.db.errors import DatabaseFull
from mayfly.effects import registry
from mayfly.effects.contract import Locality
from mayfly.errors import MayflyError
from mayfly.media import storage
from mayfly.media.children import confinement
from mayfly.purge import status
from mayfly.settings import Settings


@dataclasses.dataclass(frozen=True)
class Check:
    """One part and how it is."""

    name: str
    ok: bool
    detail: str


class Wrong(Exception):
    """A part answers, but not as it should; the text is shown."""


def run(settings: Settings) -> list[Check]:
    """Check every part; none of them raises. A part that this set-up does not have gives no check."""
    parts: dict[str, Callable[[Settings], str | None]] = {
        "broker": _broker,
        "queues": _queues,
        "database": _database,
        "storage": _storage,
        "models": _models,
        "sweep": _sweep,
        "worker": _worker,
        "ffmpeg": _ffmpeg,
        "confinement": _confinement,
        "devices": _devices,
    }
    found = []
    for name, part in parts.items():
        try:
            if (detail := part(settings)) is not None:
                found.append(Check(name, True, detail))
        except Wrong as wrong:
            found.append(Check(name, False, str(wrong)))
        except MayflyError as error:
            found.append(Check(name, False, f"{error.code}: {error}"))
        except (OSError, ValueError, subprocess.SubprocessError, sqlalchemy.exc.SQLAlchemyError) as error:
            found.append(Check(name, False, type(error).__name__))
    return found


def _broker(settings: Settings) -> str:
    if settings.embedded:
        return "in-process"
    from mayfly.tasks.messages import broker

    reason = broker.blocked(settings)
    if reason is not None:
        raise Wrong(
            f"answers, but takes no messages because of its alarm ({reason}); jobs stay queued until it is over"
        )
    policy = broker.has_policy(settings)
    if policy is False:
        raise Wrong(f"takes messages, but its policy {broker.POLICY} is missing or another; `mayfly worker` sets it")
    return "takes messages; " + ("has its policy" if policy else "policy not checked without MAYFLY_BROKER_ADMIN_URL")


def _queues(settings: Settings) -> str | None:
    """Whether somebody takes from each queue that an effect may need, or that has messages."""
    if settings.embedded:
        return None
    from mayfly.tasks.messages import broker, queues

    states = broker.states(settings)
    dead = states.pop(queues.DEAD_LETTERS, broker.QueueState(0, 0)).messages
    needed = {queues.MEDIA, queues.MAINTENANCE, *(name for name, state in states.items() if state.messages)}
    for effect in registry.load(settings.effect_modules).values():
        if effect.declaration.locality is Locality.SERVER:
            needed |= {queues.effect_queue(effect.declaration.tag, media) for media in effect.declaration.media}
    waiting = ", ".join(f"{name} {state.messages}" for name, state in states.items() if state.messages)
    counts = f"waiting messages: {waiting or 'none'}; dead letters: {dead or 'none'}"
    idle = [name for name in queues.all_queues() if name in needed and not (name in states and states[name].consumers)]
    if idle:
        raise Wrong(f"nobody works on: {', '.join(idle)}; start `mayfly worker`; {counts}")
    return counts


def _database(settings: Settings) -> str:
    engine = engines.connect(settings.resolved_database_url, part="doctor", connections=1)
    try:
        revision = migrate.revision(engine)
    finally:
        engine.dispose()
    if settings.embedded and not room.is_left(settings.home):
        raise Wrong(f"{DatabaseFull.code}: {room.FULL_TEXT}")
    state = "as it should be" if revision == migrate.HEAD else f"not {migrate.HEAD}: the first process upgrades it"
    return f"{engine.dialect.name} answers; revision {revision}, {state}"


def _storage(settings: Settings) -> str:
    store = storage.connect(settings.resolved_storage_url)
    store.prepare()
    protection = store.protect()
    key, content = f"doctor/{uuid.uuid4()}", b"mayfly"
    store.put(key, io.BytesIO(content), len(content))
    try:
        if store.read(key) != content:
            raise OSError
    finally:
        store.destroy(key)
    if protection.wrong:
        raise Wrong(f"stores, reads and deletes, but {'; '.join(protection.wrong)}")
    return "; ".join(["stores, reads and deletes", *protection.notes])


def _models(settings: Settings) -> str | None:
    """The bucket of models, which must keep them."""
    if settings.models_url is None:
        return None
    from mayfly.tasks import models

    store = storage.connect(settings.models_url.get_secret_value(), role=storage.Role.MODELS)
    offered = store.size(models.MANIFEST_KEY) is not None
    if wrong := store.protect().wrong:
        raise Wrong("; ".join(wrong))
    return "answers" if offered else "answers; nobody has shared a model"


def _sweep(settings: Settings) -> str:
    engine = engines.connect(settings.resolved_database_url, part="doctor", connections=1)
    try:
        if migrate.revision(engine) is None:
            return "nothing is stored yet"
        found = status.sweeping(engine)
    finally:
        engine.dispose()
    if found.late or (found.idle and not settings.embedded):
        start = "`mayfly up`" if settings.embedded else "`mayfly worker`"
        raise Wrong(f"nobody destroys what is due: start {start}; {found.text}")
    if found.refused:
        raise Wrong(f"the object store does not give up all that is due: check its rights; {found.text}")
    return found.text


def _worker(settings: Settings) -> str | None:
    """Whether the embedded worker runs, if a job needs it; with servers, `queues` says who works."""
    if not settings.embedded:
        return None
    engine = engines.connect(settings.resolved_database_url, part="doctor", connections=1)
    try:
        waiting = jobs.unfinished(engine) if migrate.revision(engine) is not None else 0
    finally:
        engine.dispose()
    from mayfly.workers import embedded

    if embedded.is_running(settings):
        return f"runs; {waiting} jobs are not finished"
    if waiting:
        raise Wrong(f"nobody works, and {waiting} jobs wait: start `mayfly up`")
    return "none runs, and no job waits for one"


def _ffmpeg(_: Settings) -> str:
    found = []
    for name in ("ffmpeg", "ffprobe"):
        if shutil.which(name) is None:
            raise MayflyError(f"{name} is not installed; install Debian's package ffmpeg")
        listing = subprocess.run([name, "-version"], capture_output=True, text=True, timeout=10, check=True)
        found.append(" ".join(listing.stdout.split()[:3]))
    return ", ".join(found)


def _confinement(_: Settings) -> str:
    """What keeps a decoder that was taken over by its file from everything else."""
    return confinement.describe(confinement.offered())


def _devices(_: Settings) -> str:
    if importlib.util.find_spec("torch") is None:
        return "no torch: this installation can submit, not work"
    from mayfly.workers import devices

    return ", ".join(f"{gpu.name}: {', '.join(gpu.tags)}" for gpu in devices.find()) or "no GPU; cpu"
