"""Database, object store and broker of a producer, each opened when it is first needed; used from several threads."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from mayfly.client.notices import Notices
from mayfly.client.patience import DATABASE, STORE
from mayfly.db import engine as engines
from mayfly.db import migrate, room
from mayfly.db.errors import DatabaseFull, DatabaseMissing
from mayfly.media import storage
from mayfly.media.storage.store import Store
from mayfly.settings import Settings
from mayfly.tasks.errors import BrokerMissing, BrokerRefused
from mayfly.tasks.messages.sender import Sender

BROKER = "the broker to answer"


class Services:
    """What is wrong with an address is raised at once, by the first call that needs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._engine: sa.Engine | None = None
        self._store: Store | None = None
        self._sender: Sender | None = None
        self._lock = threading.RLock()

    @property
    def engine(self) -> sa.Engine:
        """The database. Raises DatabaseMissing."""
        with self._lock:
            if self._engine is None:
                try:
                    engine = engines.connect(self.settings.resolved_database_url)
                    migrate.ensure(engine)
                    room.keep_reserve(engine)
                except OSError as error:
                    if error.errno in room.FULL:
                        raise DatabaseFull(room.FULL_TEXT) from None
                    raise DatabaseMissing("the database's folder cannot be written; check MAYFLY_HOME") from None
                self._engine = engine
            return self._engine

    @property
    def store(self) -> Store:
        """The object store. Raises StorageUnavailable."""
        with self._lock:
            if self._store is None:
                store = storage.connect(self.settings.resolved_storage_url)
                store.prepare()
                self._store = store
            return self._store

    def open(self, notices: Notices) -> None:
        """Open what an upload needs, so that a wrong address is found out before anything is stored.

        Raises:
            DatabaseMissing, StorageUnavailable: it does not answer.
            BrokerRefused: the broker's address is wrong. One that is just away is said: the outbox sends.
        """
        with self._lock:
            notices.on(DATABASE)
            _ = self.engine
            notices.on(STORE)
            _ = self.store
            if self._sender is None and not self.settings.embedded:
                notices.on(BROKER)
                self._probe(notices)
                self._sender = self._make_sender()
            notices.on(None)

    @property
    def sender(self) -> Sender | None:
        """What sends messages, once `open` was called. None if embedded: a message would die with this process, and
        the running worker reads the table.
        """
        return self._sender

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()

    def _probe(self, notices: Notices) -> None:
        from mayfly.tasks.messages import broker

        try:
            broker.probe(self.settings)
        except BrokerRefused:
            raise
        except BrokerMissing:
            notices.say("the broker does not answer; what is queued is sent to workers once it is back")

    def _make_sender(self) -> Sender:
        from mayfly.tasks.app import create

        return Sender(create(self.settings), self.engine, self.settings)
