"""The Celery settings that both sides of the queue must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .settings import Settings

#: Celery's default steps, named because producer and worker must use the same ones: each step is a list in Redis.
PRIORITY_STEPS: Final = (0, 3, 6, 9)
#: How long a message of a dead worker stays away, in seconds. Jobs do not depend on it: the ledger's own leases
#: recover them first. It must exceed the longest task, which the HTTP time-outs bound to well under a minute.
VISIBILITY_TIMEOUT_SECONDS: Final = 300
#: Time-out for opening a connection to Redis, in seconds.
CONNECT_TIMEOUT_SECONDS: Final = 5.0


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return the broker and result settings of a Celery app that speaks to the queue.

    Args:
        settings: Where Redis is and how long results are kept.
    """
    url = settings.redis_url.get_secret_value()
    timeout_seconds = settings.redis_timeout_seconds
    return {
        "broker_url": url,
        "result_backend": url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_pool_limit": 20,
        "broker_pool_acquire_timeout": 10,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # Sweep for messages of dead workers every 10 s instead of every 100 s.
            "unacked_restore_throttle": 1,
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "max_connections": 50,
            "priority_steps": list(PRIORITY_STEPS),
            # Queues are read in the order they are declared in: resumed jobs before new ones.
            "queue_order_strategy": "priority",
        },
        "redis_socket_timeout": timeout_seconds,
        "redis_socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "redis_retry_on_timeout": True,
        "redis_backend_health_check_interval": 25,
        "redis_max_connections": 100,
        "result_backend_always_retry": True,
        "result_backend_max_retries": 10,
        "result_expires": settings.result_ttl_seconds,
        "result_chord_expires": max(7 * 86_400, settings.result_ttl_seconds),
        # JSON only: a pickle in a queue is code execution for whoever can write to Redis.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_send_sent_event": False,
    }
