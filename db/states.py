"""The status machine: which states a job can be in, and every transition between them.

::

    uploading ──► queued ◄──► running ──► done
        │          ▲ │         │   │
        │          │ │         │   └──► waiting ──► queued
        └──────────┴─┴─────────┴─────────────────► failed, cancelled (from every state that is not final)

uploading   the rows exist, the bytes are on their way; a lease names the producer as alive
queued      the next stage can run; `sent_at` says whether the broker has confirmed the message
running     an attempt holds the job under a lease and a fence; at the stage `segments` nobody holds it, and each of
            its segments goes the same way from queued to done
waiting     an attempt failed for a passing reason; `retry_at` says when the next may begin
done        the result is stored
failed      `error` says why
cancelled   by its producer
"""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    """Where a job is on its way."""

    UPLOADING = "uploading"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a job in this state never changes again."""
        return not TRANSITIONS[self]


UNFINISHED = (State.UPLOADING, State.QUEUED, State.RUNNING, State.WAITING)
"""The states that are not final, in the order in which an index's condition names them."""

TRANSITIONS: dict[State, frozenset[State]] = {
    State.UPLOADING: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {
            State.RUNNING,  # another attempt, when the lease of the one before is over
            State.QUEUED,  # the next stage, or a lapsed lease
            State.WAITING,
            State.DONE,
            State.FAILED,
            State.CANCELLED,
        }
    ),
    State.WAITING: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def before(target: State) -> frozenset[State]:
    """The states from which `target` can be reached: the condition of every compare-and-set."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)


class Stage(enum.StrEnum):
    """What has to be done next with a job that is not final."""

    INGEST = "ingest"
    EFFECT = "effect"
    SEGMENTS = "segments"
    JOIN = "join"


class AssetState(enum.StrEnum):
    """Whether an asset's bytes exist."""

    PENDING = "pending"
    STORED = "stored"
    DESTROYED = "destroyed"


class Retention(enum.StrEnum):
    """An asset's retention class; mayfly.purge.policy says how long each may live."""

    FACE_INPUT = "face_input"
    INPUT = "input"
    INTERMEDIATE = "intermediate"
    RESULT = "result"
    PREVIEW = "preview"

    @property
    def is_input(self) -> bool:
        """Whether this is what a person uploaded."""
        return self in (Retention.FACE_INPUT, Retention.INPUT)
