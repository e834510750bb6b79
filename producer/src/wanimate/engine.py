"""Performs effects: the one place of the client that talks to Redis."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .address import sentinel_of, without_secrets
from .effects import (
    Forget,
    LookFor,
    Publish,
    ReadPrices,
    ReadRecord,
    ReadResults,
    ReadSlots,
    ReadStandings,
    Remember,
    Sleep,
)
from .errors import ClientClosed, QueueUnavailable, SettingsError, WanimateError
from .per_process import FORKS, PerProcess

if TYPE_CHECKING:
    from .effects import Effect
    from .settings import Settings
    from .store import Store


#: What is said when a client is used after `close()`.
CLOSED: Final = "this client is closed: make a new one, or close it later"


@dataclass(slots=True)
class _Connections:
    """The connections of one process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    store: Store | None = None


class Engine:
    """Performs effects, one at a time in each of any number of threads.

    It connects, and even imports redis-py, with the first effect: making a client costs nothing, and the async client
    pays for both outside its event loop.

    Args:
        settings: Where Redis is.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = _address(settings)
        # A forked child must not write to its parent's connections, nor wait for its parent's threads.
        self._connections = PerProcess(_Connections)
        self.is_closed = False
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
            ClientClosed: The client was closed.
            SettingsError: The Redis database belongs to another account.
        """
        if isinstance(effect, Sleep):
            time.sleep(effect.seconds)
            return None
        try:
            with FORKS.kept_away():
                return self._exchange(effect)
        except Exception as error:
            if self.is_closed:
                # Whatever it is that connections raise when they are closed by another thread.
                raise ClientClosed(CLOSED) from error
            if isinstance(error, _redis_errors()):
                raise QueueUnavailable(self._explain(error)) from error
            raise

    def _exchange(self, effect: Effect) -> Any:  # noqa: C901, PLR0911 - one for each effect
        store = self._open()
        if not self._knows_owner:
            self._check_owner(store)
        match effect:
            case Publish(message):
                return store.publish(message)
            case Remember(fingerprints):
                return store.remember(fingerprints)
            case ReadResults(task_ids):
                return store.results(task_ids)
            case ReadStandings(job_ids):
                return store.standings(job_ids)
            case LookFor(job_ids):
                return store.look_for(job_ids)
            case ReadRecord(job_id):
                return store.record(job_id)
            case ReadPrices():
                return store.prices()
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

    def _open(self) -> Store:
        connections = self._connections.get()
        with connections.lock:
            if self.is_closed:
                raise ClientClosed(CLOSED)
            if connections.store is None:
                from .store import Store  # redis-py: a fifth of a second

                connections.store = Store(self.settings)
            return connections.store

    def close(self) -> None:
        """Close every connection; what is in the queue stays there."""
        connections = self._connections.get()
        with connections.lock:
            self.is_closed = True
            store, connections.store = connections.store, None
        with FORKS.kept_away():
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
    from redis.exceptions import RedisError

    return RedisError, OSError


def _address(settings: Settings) -> str:
    """Return where Redis is, for people: never with the password."""
    sentinel = sentinel_of(settings.redis_url.get_secret_value())
    if sentinel is not None:
        return str(sentinel)
    parts = urlsplit(settings.redis_url.get_secret_value())
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
