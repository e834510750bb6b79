"""What of Celery, kombu and Flower is used here although it is not documented, and why.

A test fails when a version removes one of these, and when this package uses a name that is not listed.
"""

from __future__ import annotations

from typing import Final

#: The versions that these were checked with: the lowest and the newest.
CHECKED: Final = {"celery": ("5.6.0", "5.7.0"), "kombu": ("5.7.0", "5.7.0"), "flower": ("2.2.0", "2.2.0")}

_CONSUMER: Final = "celery.worker.consumer:Consumer"
_KOMBU: Final = "kombu.transport.redis"

#: By what they are needed for: where they are imported from, and their path there.
PRIVATE: Final[dict[str, tuple[str, ...]]] = {
    "what hangs on a message is kept, and called when a job ends": (
        "celery.app.task:Context",
        "celery.app.task:Context.as_execution_options",
        "celery.app.task:Task.__trace__",
        "celery.app.trace:build_tracer",
        "celery.app.amqp:AMQP.create_task_message",
        "celery.utils.functional:maybe_list",
    ),
    "a result is stored in Celery's form, together with the end of its job": (
        "celery.backends.redis:RedisBackend.get_key_for_task",
        "celery.backends.redis:RedisBackend.encode_result",
    ),
    "a stored result that cannot be read is replaced": ("celery.backends.redis:RedisBackend._get_task_meta_for",),
    "a Redis that refuses commands is waited for": (
        "celery.backends.redis:RedisBackend.exception_safe_to_retry",
        f"{_CONSUMER}.on_connection_error_after_connected",
    ),
    "ticks are sent by a clock that is never set back": ("celery.beat:Scheduler.apply_async",),
    "only threads are allowed": ("celery.concurrency.thread:TaskPool",),
    "messages that cannot be used are kept for the operator": (
        f"{_CONSUMER}.create_task_handler",
        f"{_CONSUMER}.on_decode_error",
        f"{_CONSUMER}.on_unknown_message",
        f"{_CONSUMER}.on_unknown_task",
        f"{_CONSUMER}.on_invalid_task",
    ),
    "the database is checked at each connection": (f"{_CONSUMER}.update_strategies",),
    "events are sent together": (f"{_CONSUMER}.on_send_event_buffered", f"{_CONSUMER}._flush_events"),
    "a revoke cancels jobs, and discards no message": (
        "celery.worker.control:revoke_by_stamped_headers",
        "celery.worker.state:revoked",
        "celery.worker.state:revoked_stamps",
    ),
    "workers read queues of ours only": ("celery.worker.control:add_consumer",),
    "Redis URLs mean this package's transport": (
        "kombu.transport:TRANSPORT_ALIASES",
        "kombu.transport:_transport_cache",
    ),
    "a message is taken and noted in one script": (
        f"{_KOMBU}:Channel._brpop_start",
        f"{_KOMBU}:Channel._brpop_read",
        f"{_KOMBU}:QoS.append",
        "kombu.transport.virtual:Transport._deliver",
    ),
    "messages are given back as they were, and a full Redis ends no worker": (
        f"{_KOMBU}:QoS.restore_by_tag",
        f"{_KOMBU}:QoS.restore_visible",
    ),
    "remote control that makes no sense ends no worker": (f"{_KOMBU}:Channel._receive_one",),
    "a channel whose connection was lost raises a connection error": (f"{_KOMBU}:Channel._connparams",),
    "one client for each channel": (f"{_KOMBU}:Channel._create_client",),
    "Flower's buttons cancel jobs, and tell what became of them": ("flower.api.control:TaskRevoke",),
    "Flower sends no task past the producer's checks": (
        "flower.api.tasks:BaseTaskHandler.get_task_args",
        "flower.api.tasks:TaskApply",
        "flower.api.tasks:TaskAsyncApply",
        "flower.api.tasks:TaskSend",
    ),
    "Flower's handlers come behind ours, with its settings and prefix": (
        "flower.app:Flower",
        "flower.app:rewrite_handler",
        "flower.urls:settings",
    ),
    "metrics are for those only who may see the rest": ("flower.views.monitor:Metrics",),
    "the list of tasks fits narrow windows, and has filters for the states of jobs": ("flower.views.tasks:TasksView",),
    "the page Broker shows the jobs in the ledger": ("flower.views.broker:BrokerView",),
    "the search finds what rows show": (
        "flower.events:EventsState",
        "flower.utils.search:QuerySyntaxError",
        "flower.utils.search:TaskSearchEngine.rebuild",
        "flower.utils.search:TaskSearchEngine.search",
        "flower.utils.search:TaskSearchEngine.upsert",
    ),
}
