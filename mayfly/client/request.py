"""What a producer asks for, checked before anything is stored."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, BinaryIO, Self

from mayfly.client import source
from mayfly.client.errors import DeviceEffect, InvalidReference
from mayfly.db import jobs
from mayfly.db.states import Retention, Stage
from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Locality, Media, Parameters
from mayfly.media.errors import WrongKind
from mayfly.media.image import sizes
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.sniff import HEAD_BYTES, Format, sniff
from mayfly.purge.policy import Policy

MAX_REFERENCE = 255  # characters; as the table has them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """An effect with its parameters, for somebody; of which file is not said yet."""

    declared: Declaration
    parameters: Parameters
    owner: str | None
    consent: str | None
    key: str | None
    output: dict[str, Any] | None

    @classmethod
    def check(
        cls,
        effect: str,
        params: Mapping[str, Any] | None,
        *,
        owner: str | None = None,
        consent: str | None = None,
        key: str | None = None,
        output: Output | None = None,
        preview: bool = False,
    ) -> Self:
        """Raises UnknownEffect, InvalidParameters, DeviceEffect, InvalidReference, TypeError."""
        declared = registry.declaration(effect)
        if declared.locality is Locality.DEVICE:
            raise DeviceEffect("this effect runs where the photo is; nothing is uploaded for it")
        parameters = registry.parameters(effect, {} if params is None else params)
        check_references(owner=owner, consent=consent, idempotency_key=key)
        if output is not None and not isinstance(output, Output):
            raise TypeError("output is a mayfly.Output, or None")
        if not isinstance(preview, bool):
            raise TypeError("preview is True or False")
        wishes = _wishes(output, preview=preview)
        return cls(declared=declared, parameters=parameters, owner=owner, consent=consent, key=key, output=wishes)

    def check_upload(self, stream: BinaryIO, size: int, limits: Limits) -> Format:
        """What the file is by its first bytes; what is too large, or would become so, is refused as far as a picture's
        header says it. Raises InvalidSource, MediaError, InvalidParameters.
        """
        start = stream.tell()
        found = sniff(stream.read(HEAD_BYTES))
        stream.seek(start)
        if found.kind not in self.declared.media:
            wanted = " or ".join(sorted(self.declared.media))
            raise WrongKind(f"this effect takes no {found.kind}: send it {wanted}")
        self.parameters.check_media(Media(found.kind))
        limits.check_bytes(found.kind, size)
        if Media(found.kind) is Media.IMAGE and (shown := sizes.read(stream, found)) is not None:
            limits.check_picture(*shown)
            check_result(self.parameters, found, *shown, limits)
        return found

    def request(self, found: Format, stream: BinaryIO, size: int, policy: Policy) -> jobs.Request:
        """As the table keeps it. With an idempotency key, the whole stream is read for its fingerprint."""
        retention = Retention.FACE_INPUT if self.declared.face else Retention.INPUT
        term = policy.term(retention)
        picture = Media(found.kind) is Media.IMAGE
        return jobs.Request(
            effect=self.declared.name,
            media=found.kind,
            # A picture is probed by whoever decodes it; only a video is planned first.
            stage=Stage.EFFECT if picture else Stage.INGEST,
            units_total=1 if picture else None,
            size=size,
            suffix=found.suffix,
            parameters=self.parameters.model_dump(mode="json"),
            output=self.output,
            owner=self.owner,
            consent=self.consent,
            idempotency_key=self.key,
            fingerprint=None if self.key is None else self._fingerprint(self.key, stream),
            retention=retention,
            due_after=term.due_after,
            deadline_after=term.deadline_after,
        )

    def _fingerprint(self, key: str, stream: BinaryIO) -> str:
        """What tells two requests under one key apart. Keyed by it, so that nobody learns which rows hold the same
        picture by comparing them.
        """
        asked = {
            "effect": self.declared.name,
            "parameters": self.parameters.model_dump(mode="json"),
            "output": self.output,
            "content": source.digest(stream),
        }
        canonical = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
        return hmac.new(key.encode(), canonical, hashlib.sha256).hexdigest()


def check_result(parameters: Parameters, found: Format, width: int, height: int, limits: Limits) -> None:
    """Whether a result can be as large as the effect makes it, as far as that is known here. Raises ResultTooLarge."""
    if (size := parameters.result_size(width, height)) is not None:
        limits.check_result(found, *size)


def check_references(**given: object) -> None:
    """Owners, keys and the like, under the names that the text is to have. Raises InvalidReference."""
    for name, value in given.items():
        if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_REFERENCE and value.isprintable()):
            continue
        raise InvalidReference(f"{name} is printable text of 1 to {MAX_REFERENCE} characters")


def _wishes(output: Output | None, *, preview: bool) -> dict[str, Any] | None:
    """What is kept of a producer's choices: those that were made."""
    chosen = output.model_dump(mode="json", exclude_unset=True) if output else {}
    wishes = ({"video": chosen} if chosen else {}) | ({"preview": True} if preview else {})
    return wishes or None
