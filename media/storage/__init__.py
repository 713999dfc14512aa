"""Object storage: opens the store that an address names, an S3 server or a folder."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from mayfly.media.storage.store import PATIENCE_SECONDS as PATIENCE_SECONDS
from mayfly.media.storage.store import Role as Role
from mayfly.media.storage.store import Store as Store


def connect(url: str, *, role: Role = Role.UPLOADS, patience: float = PATIENCE_SECONDS) -> Store:
    """The store that a URL names: `s3://KEY:SECRET@HOST[:PORT]/BUCKET[?secure=false]` or `file:///FOLDER`.

    Args:
        url: as above.
        role: what it is for.
        patience: seconds without any progress after which a server counts as away.

    Raises:
        ValueError: the URL is of neither form; the text does not repeat it, since it may hold a secret.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file" and parts.path:
        from mayfly.media.storage.folder import FolderStore

        return FolderStore(Path(urllib.parse.unquote(parts.path)), role=role)
    if parts.scheme == "s3" and parts.hostname and parts.username and parts.password and parts.path.strip("/"):
        from mayfly.media.storage.s3 import S3Store

        options = urllib.parse.parse_qs(parts.query)
        return S3Store(
            endpoint=parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}",
            access_key=urllib.parse.unquote(parts.username),
            secret_key=urllib.parse.unquote(parts.password),
            bucket=parts.path.strip("/"),
            secure=options.get("secure", ["true"])[0] != "false",
            region=options.get("region", ["us-east-1"])[0],
            role=role,
            patience=patience,
        )
    raise ValueError("a storage URL is s3://KEY:SECRET@HOST:PORT/BUCKET or file:///FOLDER")
