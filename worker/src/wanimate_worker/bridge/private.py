"""What of Celery, kombu, billiard and Flower is used here although it is not documented, and why.

A test fails when a version removes one of these, and when this package uses a name that is not listed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: The versions that these were checked with: the lowest and the newest.
CHECKED: Final = {
    "celery": ("5.6.0", "5.7.0"),
    "kombu": ("5.7.0", "5.7.0"),
    "billiard": ("4.2.1", "4.3.2"),
    "flower": ("2.2.0", "2.2.0"),
}


class Private(NamedTuple):
    """One undocumented name.

    Args:
        module: Where it is imported from.
        name: Its path there.
        why: What it is needed for.
    """

    module: str
    name: str
    why: str


_TRANSPORT = "kombu.transport.redis"
_CONSUMER = "celery.worker.consumer"
_TAKING = "a message is taken and noted in one script"
_GIVING_BACK = "what cannot be read is given back too, and a full Redis ends no worker"
_LETTERS = "what cannot be used is kept for the operator"
_REVOKING = "a revoke cancels jobs and discards no message"

PRIVATE: Final = (
    Private("celery.app.task", "Context", "a message as a task's request, for results and canvas"),
    Private("celery.app.trace", "build_tracer", "results, callbacks, chains and chords when a job ends"),
    Private("celery.app.trace", "trace_ok_t", "the answer of a tracer whose task could not be run"),
    Private("celery.app.task", "Task.__trace__", "the tracer that the worker has made"),
    Private("celery.app.task", "Context.as_execution_options", "what hangs on a message, to be kept"),
    Private("celery.app.amqp", "AMQP.create_task_message", "the message of a task that runs to its end"),
    Private(
        "celery.backends.redis", "RedisBackend._get_task_meta_for", "a stored result that cannot be read is replaced"
    ),
    Private(
        "celery.backends.redis", "RedisBackend.exception_safe_to_retry", "a Redis that refuses writes is waited for"
    ),
    Private(
        "celery.backends.redis", "RedisBackend.get_key_for_task", "a result must be in Redis before a job is closed"
    ),
    Private("celery.beat", "Scheduler.apply_async", "ticks by a clock that is never set back"),
    Private("celery.concurrency.thread", "TaskPool", "only threads are allowed"),
    Private("celery.utils.functional", "maybe_list", "one signature or several"),
    Private(_CONSUMER, "Consumer.create_task_handler", _LETTERS),
    Private(_CONSUMER, "Consumer.update_strategies", "tracers are wrapped, and the database is checked"),
    Private(_CONSUMER, "Consumer.on_decode_error", _LETTERS),
    Private(_CONSUMER, "Consumer.on_unknown_message", _LETTERS),
    Private(_CONSUMER, "Consumer.on_unknown_task", _LETTERS),
    Private(_CONSUMER, "Consumer.on_invalid_task", _LETTERS),
    Private(_CONSUMER, "Consumer.on_connection_error_after_connected", "a Redis that refuses commands is waited for"),
    Private(_CONSUMER, "Consumer.on_send_event_buffered", "events are sent together"),
    Private(_CONSUMER, "Consumer._flush_events", "events are sent together"),
    Private("celery.worker.control", "revoke", _REVOKING),
    Private("celery.worker.control", "revoke_by_stamped_headers", _REVOKING),
    Private("celery.worker.control", "add_consumer", "only queues of ours are read"),
    Private("celery.worker.request", "Request.revoked", _REVOKING),
    Private("celery.worker.request", "Request.terminate", _REVOKING),
    Private("celery.worker.state", "revoked", _REVOKING),
    Private("celery.worker.state", "revoked_stamps", _REVOKING),
    Private("celery.worker.state", "task_ready", "a task that no thread took is not counted as reserved"),
    Private("billiard.einfo", "ExceptionInfo", "the answer of a tracer whose task could not be run"),
    Private("kombu.transport", "TRANSPORT_ALIASES", "Redis URLs mean this package's transport"),
    Private("kombu.transport", "_transport_cache", "Redis URLs mean this package's transport"),
    Private(_TRANSPORT, "Channel._brpop_start", _TAKING),
    Private(_TRANSPORT, "Channel._brpop_read", _TAKING),
    Private(_TRANSPORT, "Channel._receive_one", "remote control that makes no sense ends no worker"),
    Private(_TRANSPORT, "Channel._connparams", "a channel whose connection was lost raises a connection error"),
    Private(_TRANSPORT, "Channel._create_client", "one client for each channel"),
    Private(_TRANSPORT, "QoS.append", _TAKING),
    Private(_TRANSPORT, "QoS.restore_by_tag", _GIVING_BACK),
    Private(_TRANSPORT, "QoS.restore_visible", _GIVING_BACK),
    Private("kombu.transport.virtual", "Transport._deliver", _TAKING),
    Private("flower.api.control", "TaskRevoke", "its buttons cancel jobs, and tell what became of them"),
    Private("flower.api.control", "WorkerQueueAddConsumer", "only queues of ours are read"),
    Private("flower.api.tasks", "TaskApply", "it takes no task that would be sent past the producer's checks"),
    Private("flower.api.tasks", "TaskAsyncApply", "it takes no task that would be sent past the producer's checks"),
    Private("flower.api.tasks", "TaskSend", "it takes no task that would be sent past the producer's checks"),
    Private("flower.api.tasks", "BaseTaskHandler.get_task_args", "arguments that break the rules are refused there"),
    Private("flower.app", "Flower", "its handlers come behind ours"),
    Private("flower.app", "rewrite_handler", "addresses with a prefix"),
    Private("flower.urls", "settings", "its handlers have the same settings"),
    Private("flower.views.monitor", "Metrics", "metrics for those only who may see the rest"),
)
