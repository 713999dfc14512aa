"""The queues: one for each tag and lane, so that a photo never waits behind a film and work finds its machine."""

from __future__ import annotations

import enum

from mayfly.effects.contract import Media, Tag

EXCHANGE = "mayfly"
DEAD_LETTERS = "mayfly.dead-letters"
MEDIA = "media"
MAINTENANCE = "maintenance"
DELIVERY_LIMIT = 3  # deliveries after the first; then the message is a dead letter

PERIODIC = {"purge.sweep": 60.0, "purge.forget": 900.0, "jobs.resend": 10.0, "jobs.bury": 30.0}
"""The periodic tasks and their periods in seconds."""

QUORUM = {"x-queue-type": "quorum"}  # replicated, and counts deliveries

DEAD_LETTERED = QUORUM | {
    "x-dead-letter-exchange": DEAD_LETTERS,
    "x-dead-letter-strategy": "at-least-once",  # the broker itself confirms the hand-over
    "x-overflow": "reject-publish",  # at-least-once needs it; a full queue refuses instead of dropping
}


def arguments(name: str) -> dict[str, str]:
    """The arguments of a queue: only what never changes, for a queue refuses others than it was made with; limits
    are policies. A periodic message that expires is no loss, so maintenance has no dead letters.
    """
    return QUORUM if name == MAINTENANCE else DEAD_LETTERED


class Lane(enum.StrEnum):
    """Photos and videos have their own queues: a quorum queue has no priorities."""

    PHOTO = "photo"
    VIDEO = "video"


LANES = {Media.IMAGE: Lane.PHOTO, Media.VIDEO: Lane.VIDEO}


def effect_queue(tag: Tag, media: Media) -> str:
    """The queue of an effect that needs `tag`, on this kind of media."""
    return f"{tag.value}.{LANES[media].value}"


def of_tags(tags: list[Tag]) -> list[str]:
    """The queues of a worker that has these tags, photos first."""
    return [f"{tag.value}.{lane.value}" for lane in Lane for tag in tags]


def all_queues() -> list[str]:
    """Every queue that carries work."""
    return [MEDIA, MAINTENANCE, *of_tags(list(Tag))]
