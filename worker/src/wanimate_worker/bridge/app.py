"""The Celery app: `celery -A wanimate_worker worker`, `beat` and `flower` find it here."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Never
from urllib.parse import urlsplit

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging, worker_init, worker_ready
from click import get_current_context
from click.core import ParameterSource
from kombu import Queue
from redis.exceptions import RedisError
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
    panel,  # noqa: F401 - importing it puts our commands into Celery's panel
    revoking,  # noqa: F401 - the same
    transport,
)
from .backend import BACKENDS
from .callers import GenerateTask
from .options import check_options
from .step import EngineStep
from .tasks import CancelTask, EnqueueTask, HousekeepingTask, PollTask

if TYPE_CHECKING:
    from collections.abc import Mapping

log = get_logger(__name__)


def create_app(settings: WorkerSettings, runtime: Runtime | None = None) -> Celery:
    """Return the Celery app of the queue's workers, beat and Flower.

    Args:
        settings: What it runs with.
        runtime: The ledger and the vendor, if the process has them already.
    """
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
        _stop(error)
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
            GENERATE_TASK: {"queue": ENTRY_QUEUE},
            ENQUEUE_TASK: {"queue": ENTRY_QUEUE},
            POLL_TASK: {"queue": CONTROL_QUEUE},
            HOUSEKEEPING_TASK: {"queue": CONTROL_QUEUE},
            CANCEL_TASK: {"queue": CONTROL_QUEUE},
        },
        "task_ignore_result": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_track_started": False,
        "worker_pool": "threads",
        "worker_consumer": "wanimate_worker.bridge.consumer:Consumer",
        "worker_concurrency": settings.worker_threads,
        # Jobs' messages are recorded many at a time and never wait for a thread.
        "worker_prefetch_multiplier": 4,
        # No task of ours uses an ETA; a foreign one must not fill the memory.
        "worker_eta_task_limit": 200,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": False,
        # Longer than a submission may take, so that a stop waits for the answer of every request under way.
        "worker_soft_shutdown_timeout": settings.connect_timeout_seconds + settings.submit_timeout_seconds + 5,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # The schedule is in the code: no file to keep, no file to lose.
        "beat_scheduler": "wanimate_worker.bridge.beat:Scheduler",
        "beat_schedule": _schedule(
            {
                POLL_TASK: settings.poll_tick_seconds,
                HOUSEKEEPING_TASK: settings.housekeeping_seconds,
            }
        ),
    }


def _schedule(every_seconds: Mapping[str, float]) -> dict[str, Any]:
    return {
        task: {
            "task": task,
            "schedule": timedelta(seconds=seconds),
            "options": {"queue": CONTROL_QUEUE, "ignore_result": True},
        }
        for task, seconds in every_seconds.items()
    }


def _stop(error: SettingsError) -> Never:
    sys.exit(f"wanimate-worker: {error}")


def _is_level_given() -> bool:
    """Whether the command line names a level: Celery's default, WARNING, would hide what becomes of jobs."""
    context = get_current_context(silent=True)
    return context is not None and context.get_parameter_source("loglevel") is ParameterSource.COMMANDLINE


@worker_ready.connect
def _say_whose_worker_it_is(sender: Any = None, **_: Any) -> None:
    """Write whose jobs it works on and within which limits, and where its own settings say something else."""
    task = sender.app.tasks.get(GENERATE_TASK)
    if isinstance(task, GenerateTask):
        settings, limits = task.runtime.settings, None
        with suppress(RedisError):
            limits = task.runtime.ledger.limits.read()
        counts = limits or settings.account_limits()
        log.info(
            "worker has started",
            account=settings.account,
            vendor=urlsplit(settings.api_base_url).hostname,
            max_in_flight=counts.max_in_flight,
            requests_per_minute=counts.requests_per_minute,
            daily_billed_seconds=counts.daily_billed_seconds,
        )
        for difference in settings.disagreements(counts):
            log.warning("the account's limits count, not this worker's; see wanimate-worker limits", cause=difference)


@beat_init.connect
def _say_that_it_beats(sender: Any = None, **_: Any) -> None:
    """Write the one line of a beat in order: those of each tick are left out."""
    every = sender.app.conf.beat_schedule[POLL_TASK]["schedule"].total_seconds()
    log.info("beat has started", poll_every_seconds=every)


@celeryd_init.connect
def _read_own_queues_only(instance: Any = None, **_: Any) -> None:
    """Keep the worker to its own queues.

    The next task of a caller's chain goes to Celery's default queue, where the caller's workers find it. Sending there
    makes the queue known to this app, and without this the worker would read it too after a reconnect.
    `celery worker -Q` comes later and so comes first.
    """
    instance.app.amqp.queues.select(QUEUES)


@worker_init.connect
def _check_options(sender: Any = None, **_: Any) -> None:
    """Stop a worker whose options would lose jobs, before it takes a message."""
    try:
        check_options(sender)
    except SettingsError as error:
        _stop(error)


@celeryd_init.connect
def _check_settings(instance: Any = None, **_: Any) -> None:
    """Stop a worker that cannot speak to the vendor, or reads another account's jobs, before it takes a message.

    Beat and Flower need no key.
    """
    task = instance.app.tasks.get(GENERATE_TASK)
    if isinstance(task, GenerateTask):
        task.runtime.worker_name = instance.hostname
        try:
            task.runtime.vendor  # noqa: B018 - making the client checks address, key, proxy and certificates
            task.runtime.ledger  # noqa: B018 - making the ledger checks whose database this is
            task.runtime.tracing  # noqa: B018 - importing OpenTelemetry takes a while; no job shall wait for it
        except SettingsError as error:
            _stop(error)
        except RedisError:
            # Celery waits for Redis; the database is checked when it is first used.
            return
