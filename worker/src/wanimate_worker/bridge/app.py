"""The Celery app of workers, beat and Flower."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.signals import beat_init
from kombu import Queue
from wanimate.contract import (
    CANCEL_TASK,
    CONTROL_QUEUE,
    ENQUEUE_TASK,
    ENTRY_QUEUE,
    GENERATE_TASK,
    HOUSEKEEPING_TASK,
    POLL_TASK,
)
from wanimate.redis.transport import celery_settings

from ..engine.runtime import Runtime
from ..queues import QUEUES
from ..telemetry import get_logger
from . import (
    control,  # noqa: F401 - importing it puts our commands into Celery's panel
    transport,
)
from .callers import GenerateTask
from .outage import BACKENDS
from .tasks import CancelTask, EnqueueTask, HousekeepingTask, PollTask
from .worker import EngineStep

if TYPE_CHECKING:
    from ..settings import WorkerSettings

log = get_logger(__name__)


def create_app(settings: WorkerSettings, runtime: Runtime | None = None) -> Celery:
    """Return the Celery app of the queue's workers, beat and Flower, with the process's runtime if it has one."""
    transport.install()
    app = Celery("wanimate")
    app.loader.override_backends = BACKENDS
    app.conf.update(celery_settings(settings))
    app.conf.update(_worker_settings(settings))
    runtime = runtime or Runtime(settings)
    for task in (GenerateTask, EnqueueTask, PollTask, HousekeepingTask, CancelTask):
        app.register_task(task(runtime))
    app.steps["worker"].add(EngineStep)
    return app


def ignore_celery_variables() -> None:
    """Remove the variables by which Celery lets the environment override an app's settings.

    The ledger would then be in another Redis than the messages.
    """
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND"):
        os.environ.pop(name, None)


def _worker_settings(settings: WorkerSettings) -> dict[str, Any]:
    return {
        "task_queues": [Queue(name) for name in QUEUES],
        "task_routes": {
            **{task: {"queue": ENTRY_QUEUE} for task in (GENERATE_TASK, ENQUEUE_TASK)},
            **{task: {"queue": CONTROL_QUEUE} for task in (POLL_TASK, HOUSEKEEPING_TASK, CANCEL_TASK)},
        },
        "task_acks_late": True,
        "worker_pool": "threads",
        "worker_consumer": "wanimate_worker.bridge.consumer:Consumer",
        "worker_concurrency": settings.worker_threads,
        # Jobs' messages are recorded many at a time and never wait for a thread.
        "worker_prefetch_multiplier": 4,
        # No task of ours uses an ETA; a foreign one must not fill the memory.
        "worker_eta_task_limit": 200,
        "worker_send_task_events": True,
        # Longer than a submission may take, so that a stop waits for the answer of every request under way.
        "worker_soft_shutdown_timeout": settings.connect_timeout_seconds + settings.submit_timeout_seconds + 5,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # The schedule is in the code: no file to keep, no file to lose.
        "beat_scheduler": "wanimate_worker.bridge.beat:Scheduler",
        "beat_schedule": {
            task: {"task": task, "schedule": timedelta(seconds=seconds), "options": {"ignore_result": True}}
            for task, seconds in (
                (POLL_TASK, settings.poll_tick_seconds),
                (HOUSEKEEPING_TASK, settings.housekeeping_seconds),
            )
        },
    }


@beat_init.connect
def _say_that_it_beats(sender: Any = None, **_: Any) -> None:
    """Write the one line of a beat in order: those of each tick are left out."""
    every = sender.app.conf.beat_schedule[POLL_TASK]["schedule"].total_seconds()
    log.info("beat has started", poll_every_seconds=every)
