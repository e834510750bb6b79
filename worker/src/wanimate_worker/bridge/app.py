"""The Celery app: `celery -A wanimate_worker worker`, `beat` and `flower` find it here."""

from __future__ import annotations

import logging
import os
import sys
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging
from click import get_current_context
from click.core import ParameterSource
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
from wanimate.errors import SettingsError
from wanimate.redis.transport import celery_settings

from ..engine.runtime import Runtime
from ..queues import QUEUES
from ..settings import WorkerSettings
from ..telemetry import get_logger, set_up_logs
from . import (
    control,  # noqa: F401 - importing it puts our commands into Celery's panel
    transport,
)
from .callers import GenerateTask
from .outage import BACKENDS
from .tasks import CancelTask, EnqueueTask, HousekeepingTask, PollTask
from .worker import EngineStep, stop

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


def load_app() -> Celery:
    """Return the app for this process's environment; a wrong setting ends the process with one line."""
    ignore_celery_variables()
    try:
        settings = WorkerSettings.load()
        app = create_app(settings)
    except SettingsError as error:
        stop(error)
    if "flower" in sys.argv:
        from .flower.server import guard_celery_flower

        guard_celery_flower(settings)

    def set_up(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
        level = loglevel if loglevel is not None and _is_level_given() else settings.log_level
        set_up_logs(settings.log_format, level, logfile)
        logging.captureWarnings(capture=True)

    # Celery sets up no logger itself once this signal has a receiver.
    setup_logging.connect(set_up, weak=False)
    # A worker warns about things before that.
    celeryd_init.connect(set_up, weak=False)
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


def _is_level_given() -> bool:
    """Whether the command line names a level: Celery's default, WARNING, would hide what becomes of jobs."""
    context = get_current_context(silent=True)
    return context is not None and context.get_parameter_source("loglevel") is ParameterSource.COMMANDLINE


@beat_init.connect
def _say_that_it_beats(sender: Any = None, **_: Any) -> None:
    """Write the one line of a beat in order: those of each tick are left out."""
    every = sender.app.conf.beat_schedule[POLL_TASK]["schedule"].total_seconds()
    log.info("beat has started", poll_every_seconds=every)
