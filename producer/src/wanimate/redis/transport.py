"""The Celery settings that producers and workers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis import BlockingConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection

from ..contract import PRIORITY_STEPS, UNACKED_KEY

if TYPE_CHECKING:
    from ..settings import Settings
    from .address import Address

#: Time until the message of a dead worker is redelivered, in seconds. Duplicates are safe because the ledger allows
#: each step once, so this can be shorter than the longest request.
VISIBILITY_TIMEOUT_SECONDS: Final = 5
#: Interval at which workers redeliver such messages, in seconds.
RESTORE_INTERVAL_SECONDS: Final = 1
#: Timeout for opening a connection to Redis, in seconds.
CONNECT_TIMEOUT_SECONDS: Final = 5.0
#: Timeout of one request to a sentinel, in seconds, so that a dead one does not delay the next.
_SENTINEL_TIMEOUT_SECONDS: Final = 1.0

#: Connections of one pool, and how long a thread waits for a free one, in seconds.
_CONNECTIONS: Final = 100
_POOL_TIMEOUT_SECONDS: Final = 10


def connection_pool(settings: Settings, retry: Retry | None = None) -> BlockingConnectionPool:
    """Return a connection pool that decodes responses, for access to Redis beside Celery.

    Without `retry`, redis-py's own retries apply.
    """
    address = settings.address
    options: dict[str, Any] = {} if retry is None else {"retry": retry}
    if not address.path:
        options |= {"socket_connect_timeout": CONNECT_TIMEOUT_SECONDS, "socket_keepalive": True}
    options |= {
        "decode_responses": True,
        # One invalid value must not fail a command that reads others too. `\x` is not valid JSON, so a parser still
        # rejects it.
        "encoding_errors": "backslashreplace",
        "max_connections": _CONNECTIONS,
        "timeout": _POOL_TIMEOUT_SECONDS,
        "socket_timeout": settings.redis_timeout_seconds,
        "health_check_interval": 25,
    }
    if address.service is None:
        return BlockingConnectionPool.from_url(address.url, **options)
    sentinels: Any = Sentinel  # untyped
    pool: Any = _MasterPool
    made: BlockingConnectionPool = pool(
        address.service,
        sentinels(address.hosts, sentinel_kwargs=_sentinel_options(address)),
        connection_class=SentinelManagedConnection if address.tls is None else SentinelManagedSSLConnection,
        db=address.database,
        username=address.username,
        password=address.password,
        **(address.tls or {}),
        **options,
    )
    return made


class _MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the current master; a thread waits for a free one."""


def _sentinel_options(address: Address) -> dict[str, Any]:
    """Return the redis-py options for connections to the sentinels."""
    login = {"username": address.sentinel_username, "password": address.sentinel_password}
    return {
        "socket_timeout": _SENTINEL_TIMEOUT_SECONDS,
        "socket_connect_timeout": _SENTINEL_TIMEOUT_SECONDS,
        # redis-py would try each sentinel ten times before the next.
        "retry": Retry(NoBackoff(), 0),
        **{name: value for name, value in login.items() if value is not None},
        **({} if address.tls is None else {"ssl": True, **address.tls}),
    }


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return the broker and result settings of a Celery app that uses the queue."""
    address, timeout_seconds = settings.address, settings.redis_timeout_seconds
    service, tls = address.service, address.tls
    sentinels = {} if service is None else {"master_name": service, "sentinel_kwargs": _sentinel_options(address)}
    return {
        "broker_url": address.celery_url,
        "result_backend": address.celery_url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_limit": 20,
        "broker_pool_acquire_timeout": 10,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            "unacked_key": UNACKED_KEY,
            "unacked_index_key": f"{UNACKED_KEY}.index",
            "unacked_mutex_key": f"{UNACKED_KEY}.mutex",
            # Seconds after which other workers take over the redelivery from a dead one.
            "unacked_mutex_expire": 2 * RESTORE_INTERVAL_SECONDS,
            "unacked_restore_interval": RESTORE_INTERVAL_SECONDS,
            "unacked_restore_throttle": 1,
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "max_connections": 50,
            "priority_steps": list(PRIORITY_STEPS),
            # Queues are read in the order they are declared in: ticks and cancellations before new jobs.
            "queue_order_strategy": "priority",
            **sentinels,
        },
        "result_backend_transport_options": sentinels,
        # Flower reads TLS options from here and not from the URL; with Sentinel, all programs do.
        **({} if tls is None else {"broker_use_ssl": tls}),
        **({} if tls is None or service is None else {"redis_backend_use_ssl": tls}),
        "redis_socket_timeout": timeout_seconds,
        "redis_socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "redis_retry_on_timeout": True,
        "redis_backend_health_check_interval": 25,
        "redis_max_connections": 100,
        "result_backend_always_retry": True,
        "result_backend_max_retries": 10,
        "result_expires": settings.result_ttl_seconds,
        "result_chord_expires": max(7 * 86_400, settings.result_ttl_seconds),
        # JSON only: a pickle runs code of anyone who can write to Redis.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_send_sent_event": False,
    }
