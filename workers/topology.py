"""Prepares the broker for a worker, however long it is away: until it is prepared only maintenance runs."""

from __future__ import annotations

import logging
import threading

from mayfly.errors import MayflyError
from mayfly.settings import Settings
from mayfly.tasks.errors import BrokerMissing
from mayfly.tasks.messages import broker

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
NO_LIMIT = (
    "no delivery limit: set MAYFLY_BROKER_ADMIN_URL, or the policy by hand (docs/operations.md); until then a message "
    "that kills its worker comes back for ever"
)


def prepare(settings: Settings) -> threading.Event:
    """Declare exchanges, queues and policy; a broker that is away is tried again in a thread.

    Returns:
        What is set once that is done.

    Raises:
        TopologyMismatch: the broker has something else under these names.
    """
    ready = threading.Event()
    try:
        _declare(settings)
        ready.set()
    except BrokerMissing as error:
        log.error("%s: %s; meanwhile what is due is destroyed, and nothing else is done", error.code, error)
        threading.Thread(target=_retry, args=(settings, ready), name="topology", daemon=True).start()
    return ready


def _declare(settings: Settings) -> None:
    broker.declare(settings)
    if not broker.set_policy(settings):
        log.warning(NO_LIMIT)


def _retry(settings: Settings, ready: threading.Event) -> None:
    told = BrokerMissing.code
    while not ready.wait(RETRY_SECONDS):
        try:
            _declare(settings)
        except Exception as error:  # noqa: BLE001 - without this thread the worker would wait for ever
            code, text = (error.code, str(error)) if isinstance(error, MayflyError) else (type(error).__name__, "")
            if code != told:
                log.error("%s: %s", code, text or "the broker cannot be prepared")
            told = code
        else:
            log.info("the broker is back; everything starts")
            ready.set()
