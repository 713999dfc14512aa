"""Effects and tasks that only tests want; processes on a stage load them by MAYFLY_EFFECT_MODULES."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import TYPE_CHECKING

import celery

from benchmarks.effects import Nothing
from mayfly.effects.contract import Declaration, Effect, Media
from mayfly.effects.registry import register
from mayfly.tasks.messages import outbox

if TYPE_CHECKING:
    import torch

    from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)


@register
class Stills(Effect[Nothing]):
    """Takes no video."""

    declaration = Declaration(
        name="stills",
        summary="returns the picture as it is",
        parameters=Nothing,
        dtype="uint8",
        media=frozenset({Media.IMAGE}),
    )

    def apply(self, frames: torch.Tensor, params: Nothing) -> torch.Tensor:
        return frames


@register
class Die(Effect[Nothing]):
    """Ends its process, as a crash in native code does."""

    declaration = Declaration(name="die", summary="ends its process", parameters=Nothing, dtype="uint8")

    def apply(self, frames: torch.Tensor, params: Nothing) -> torch.Tensor:
        # The runner's warm-up is not a job.
        if min(frames.shape[-2:]) > 64:
            os.kill(os.getpid(), signal.SIGKILL)
        return frames


@celery.shared_task(name="stage.die")
def die(job_id: str) -> None:
    """Ends its process before anything is claimed."""
    os.kill(os.getpid(), signal.SIGKILL)


_resend = outbox.resend


def _resend_and_tell(runtime: Runtime) -> None:
    """The outbox, with a line in the log that tests count."""
    log.info("the outbox runs in slot %d", time.time() // 10)
    _resend(runtime)


outbox.resend = _resend_and_tell
