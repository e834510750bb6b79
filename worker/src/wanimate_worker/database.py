"""The account's Redis database: the one place where a connection to it and its ledger are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from redis import Redis
from wanimate.redis.transport import connection_pool

from .ledger import Ledger
from .roster import connecting_as

if TYPE_CHECKING:
    from redis.retry import Retry

    from .settings import WorkerSettings


class Database(NamedTuple):
    """A connection to Redis, and the account's ledger there."""

    redis: Redis
    ledger: Ledger


def open_database(settings: WorkerSettings, retry: Retry | None = None, worker: str = "") -> Database:
    """Return the account's database; nothing is sent yet.

    Before a process changes anything in it, it calls `Ledger.claim_database` (workers) or `Ledger.check_database` (all
    others).

    Args:
        settings: Where Redis is, which account it is, and this process's leases.
        retry: How a lost connection is retried; redis-py's own way if not given.
        worker: The worker whose connection it is, if it is one's.
    """
    pool = connection_pool(settings, retry)
    if worker:
        pool.connection_kwargs["redis_connect_func"] = connecting_as(worker)
    redis = Redis(connection_pool=pool)
    return Database(redis, Ledger(redis, settings.account, settings.ledger_limits()))
