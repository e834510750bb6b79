"""Performs effects: the one place of the client that talks to Redis."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .address import sentinel_of, without_secrets
from .effects import Forget, Publish, ReadRecord, ReadResults, ReadSlots, Remember, Sleep
from .errors import QueueUnavailable, SettingsError, WanimateError

if TYPE_CHECKING:
    from .effects import Effect
    from .publisher import Publisher
    from .settings import Settings
    from .store import Store


class Engine:
    """Performs effects, one at a time in each of any number of threads.

    It connects, and even imports Celery and redis-py, with the first effect: making a client costs nothing, and the
    async client pays for both outside its event loop.

    Args:
        settings: Where Redis is.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = _address(settings)
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._publisher: Publisher | None = None
        self._store: Store | None = None
        self._closed = False
        self._knows_owner = False

    def attempt(self, effect: Effect) -> Any:
        """Perform an effect and return its answer, or the `WanimateError` it failed with."""
        try:
            return self.perform(effect)
        except WanimateError as error:
            return error

    def perform(self, effect: Effect) -> Any:
        """Perform an effect and return its answer.

        Raises:
            QueueUnavailable: Redis could not be reached or refused the command.
            SettingsError: The Redis database belongs to another account.
        """
        if isinstance(effect, Sleep):
            time.sleep(effect.seconds)
            return None
        try:
            return self._exchange(effect)
        except Exception as error:
            if isinstance(error, _redis_errors()):
                raise QueueUnavailable(self._explain(error)) from error
            raise

    def _exchange(self, effect: Effect) -> Any:
        publisher, store = self._open()
        if not self._knows_owner:
            self._check_owner(store)
        match effect:
            case Publish(message):
                return publisher.publish(message)
            case Remember(fingerprints):
                return store.remember(fingerprints)
            case ReadResults(task_ids):
                return store.results(task_ids)
            case ReadRecord(job_id):
                return store.record(job_id)
            case ReadSlots():
                return store.slots()
            case Forget(task_id):
                return store.forget(task_id)
            case _:
                raise TypeError(f"{type(effect).__name__} is not performed here")

    def _check_owner(self, store: Store) -> None:
        """Make sure once that this database serves our account: its workers take, and pay for, whatever is queued."""
        owner, account = store.owner(), self.settings.account
        if owner not in {None, account}:
            raise SettingsError(
                f"WANIMATE_ACCOUNT: the Redis database at {self.address} belongs to the account {owner!r}, not "
                f"{account!r}: set the account's own database in WANIMATE_REDIS_URL, or the right account"
            )
        # Without an owner it may still get another one: looked at again.
        self._knows_owner = owner is not None

    def _open(self) -> tuple[Publisher, Store]:
        with self._lock:
            if self._closed:
                raise RuntimeError("this client is closed")
            if self._process != os.getpid():
                # A forked child must not write to its parent's connections.
                self._process, self._publisher, self._store = os.getpid(), None, None
            if self._publisher is None or self._store is None:
                from .publisher import Publisher  # Celery: a quarter of a second
                from .store import Store  # redis-py: a quarter of a second

                self._publisher, self._store = Publisher(self.settings), Store(self.settings)
            return self._publisher, self._store

    def close(self) -> None:
        """Close every connection; what is in the queue stays there."""
        with self._lock:
            self._closed = True
            publisher, self._publisher = self._publisher, None
            store, self._store = self._store, None
        if publisher is not None:
            publisher.close()
        if store is not None:
            store.close()

    def _explain(self, error: Exception) -> str:
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = without_secrets(reason, self.settings.redis_url.get_secret_value())
        return (
            f"Redis at {self.address} is not available ({reason}): check WANIMATE_REDIS_URL, that the server runs, and "
            "that this machine may reach it"
        )


def _redis_errors() -> tuple[type[Exception], ...]:
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError

    return KombuError, RedisError, OSError


def _address(settings: Settings) -> str:
    """Return where Redis is, for people: never with the password."""
    sentinel = sentinel_of(settings.redis_url.get_secret_value())
    if sentinel is not None:
        return str(sentinel)
    parts = urlsplit(settings.redis_url.get_secret_value())
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
