"""The operator's models on this machine: in a folder, which a bucket shared by all workers may fill."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path

import filelock
import pydantic

from mayfly import folders
from mayfly.effects.errors import WeightsError
from mayfly.effects.models import weights
from mayfly.effects.models.weights import Entry
from mayfly.media import storage
from mayfly.media.errors import ObjectMissing, StorageError
from mayfly.media.storage.store import Role
from mayfly.settings import Settings

log = logging.getLogger(__name__)

# Keys of a store are letters, digits, `-`, `_` and `/`: files are named by their bytes.
MANIFEST_KEY = "models/manifest"
_ENTRIES = pydantic.TypeAdapter(tuple[Entry, ...])


def prepared(settings: Settings) -> Path:
    """The folder of models, where others may look in; it may not make a home that they look into as well.

    Raises FolderRefused, OSError.
    """
    if settings.models is None:
        folders.private(settings.home, what="the folder of MAYFLY_HOME")
    return settings.resolved_models


def use(settings: Settings) -> None:
    """Tell the effects where models lie; with a bucket, fetch first what the folder lacks.

    A bucket that does not answer is no reason not to start: what was fetched before is there.
    """
    folder = settings.resolved_models
    weights.use(folder)
    if settings.models_url is None:
        return
    try:
        fetch(storage.connect(settings.models_url.get_secret_value(), role=Role.MODELS), prepared(settings))
    except (StorageError, WeightsError) as error:
        log.warning("models were not fetched: %s", error)


def fetch(store: storage.Store, folder: Path) -> list[str]:
    """Fetch every model of a bucket that the folder lacks; returns their names.

    Raises:
        StorageError: the bucket does not answer.
        WeightsError: its manifest is damaged, or a file is not what it names; that model is not entered.
    """
    try:
        offered = _ENTRIES.validate_json(store.read(MANIFEST_KEY))
    except ObjectMissing:
        return []
    except pydantic.ValidationError:
        raise WeightsError("the bucket's manifest of models is damaged; add the models again") from None
    from mayfly.effects.models import install

    folder.mkdir(parents=True, exist_ok=True)
    fetched = []
    # Several workers of a machine start at once.
    with filelock.FileLock(folder / ".lock"):
        known = weights.manifest(folder) if (folder / "manifest.json").exists() else {}
        for entry in offered:
            if known.get(entry.name) == entry:
                continue
            data = store.read(_key(entry))
            if len(data) != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
                raise WeightsError("a model in the bucket is not what its manifest names; add it again")
            install.place(folder, entry, data)
            known = known | {entry.name: entry}
            install.enter(folder, known)
            fetched.append(entry.name)
    return fetched


def share(store: storage.Store, folder: Path, name: str) -> None:
    """Put a model of the folder into a bucket, its manifest last. Raises StorageError, WeightsError."""
    entry = weights.entry(name, folder)
    weights.load(name, folder)
    store.prepare()
    store.protect()
    try:
        offered = {other.name: other for other in _ENTRIES.validate_json(store.read(MANIFEST_KEY))}
    except ObjectMissing:
        offered = {}
    data = (folder / f"{name}.safetensors").read_bytes()
    store.put(_key(entry), io.BytesIO(data), len(data))
    listed = _ENTRIES.dump_json((*(offered | {name: entry}).values(),))
    store.put(MANIFEST_KEY, io.BytesIO(listed), len(listed))


def _key(entry: Entry) -> str:
    return f"models/{entry.sha256}"
