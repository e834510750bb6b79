"""Sends messages through Celery, without what makes `apply_async` slow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from celery import Celery
from kombu.pools import ProducerPool

from .broker import TRANSPORTS, Note, noting
from .contract import Keys
from .transport import celery_settings

if TYPE_CHECKING:
    from .messages import Message
    from .settings import Settings

#: A publish that met a lost connection is tried again this often, with the pauses of `_PAUSES`. Sending twice is
#: harmless: workers drop a job id that they have recorded.
_RETRIES: Final = 1
#: Seconds. Without them kombu waits 2, 4, 6, … s between attempts to connect, for ever.
_PAUSES: Final = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 0.5}


class Publisher:
    """A Celery app of our own and its pool of connections; safe to share between threads.

    The app is not made the current one and the pool is not kombu's global one: an application that uses Celery itself
    keeps both for its own.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = Celery("wanimate", set_as_current=False)
        options = celery_settings(settings)
        options["broker_transport_options"] |= {"max_retries": _RETRIES, **_PAUSES}
        self._app.conf.update(options, task_publish_retry_policy={"max_retries": _RETRIES, **_PAUSES})
        limit: int = options["broker_pool_limit"]
        # The URL is given here because Celery lets the variable CELERY_BROKER_URL override the configured one.
        url: str = options["broker_url"].removeprefix("redis+")
        transport = TRANSPORTS[url.partition("://")[0]]
        self._connections = self._app.connection_for_write(url, transport=transport).Pool(limit)
        producers: Any = ProducerPool  # untyped
        self._producers = producers(self._connections, limit=limit)
        self._build, self._send = self._app.amqp.create_task_message, self._app.amqp.send_task_message
        self._enqueued, self._ttl_seconds = Keys(settings.account).enqueued, settings.result_ttl_seconds
        self._acquire_timeout_seconds: float = options["broker_pool_acquire_timeout"]

    def publish(self, message: Message) -> None:
        """Put one message into its queue."""
        built: Any = self._build(
            message.id,
            message.task,
            message.args,
            message.kwargs,
            argsrepr=message.argsrepr,
            kwargsrepr=message.kwargsrepr,
            ignore_result=message.ignore_result,
        )
        with (
            self._producers.acquire(block=True, timeout=self._acquire_timeout_seconds) as producer,
            noting(self._note(message)),
        ):
            self._send(
                producer,
                message.task,
                built,
                queue=message.queue,
                priority=message.priority,
                headers=message.headers,
            )

    def _note(self, message: Message) -> Note | None:
        """Return what says of the message's jobs that they are enqueued."""
        if not message.job_ids:
            return None
        return Note(self._enqueued, dict.fromkeys(message.job_ids, round(time.time() * 1000)), self._ttl_seconds)

    def close(self) -> None:
        """Close every connection."""
        self._producers.force_close_all()
        self._connections.force_close_all()
        self._app.close()
