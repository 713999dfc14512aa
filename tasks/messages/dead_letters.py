"""Empties the dead letters: Celery does not say when it gives a message up, so somebody must look.

What a letter means is the table's to say. Our own outage sends messages round until the broker gives them up, and a
stranger's message never was about a job.
"""

from __future__ import annotations

import logging

from mayfly.db import dead_letters, jobs
from mayfly.db.dead_letters import Answer
from mayfly.db.states import State
from mayfly.purge import sweeper
from mayfly.tasks.errors import WorkerLost
from mayfly.tasks.messages import broker, envelope, queues
from mayfly.tasks.messages.envelope import Unit
from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)

BATCH = 1000
RETURNS = 10  # messages after the first that a unit gets; each was delivered as often as the broker's limit allows


def bury(runtime: Runtime) -> int:
    """Settle what each dead letter is about, then acknowledge the letter.

    Returns:
        How many letters there were.

    Raises:
        BrokerMissing: the broker does not answer.
        mayfly.db.errors.DatabaseMissing: the letter that was looked at stays, with those behind it.
    """
    count = strange = 0
    with broker.channel(runtime.settings) as channel:
        for _ in range(BATCH):
            method, _, body = channel.basic_get(queues.DEAD_LETTERS)
            if method is None:
                break
            count += 1
            unit = envelope.unit(body)
            if unit is None or settle(runtime, unit) is Answer.UNKNOWN:
                strange += 1
            channel.basic_ack(method.delivery_tag)
    if strange:
        log.warning("%d dead letters named no job; they are removed", strange)
    return count


def settle(runtime: Runtime, unit: Unit) -> Answer:
    """Send a unit's message again if it still needs one; fail its job when it had too many."""
    answer = dead_letters.return_dead_letter(runtime.engine, unit.job_id, unit.number, limit=RETURNS)
    if answer is Answer.RETURNED:
        log.warning("job %s: its message was given up; it gets another", unit.job_id)
    elif answer is Answer.LOST and jobs.end(
        runtime.engine,
        unit.job_id,
        to=State.FAILED,
        error=WorkerLost.code,
        error_text=str(WorkerLost()),
        # A job with segments is running; one that somebody took meanwhile, though, is not lost.
        only_from=[State.QUEUED if unit.number is None else State.RUNNING],
    ):
        log.error("job %s: %d of its messages were given up", unit.job_id, RETURNS + 1)
        sweeper.destroy_due(runtime.engine, runtime.store, unit.job_id)
    return answer
