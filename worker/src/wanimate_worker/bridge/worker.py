"""What Celery's worker is here: the options that it may have, the checks at its start, and the engine as its part."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Never
from urllib.parse import urlsplit

from celery import bootsteps
from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool
from celery.signals import celeryd_init, worker_init, worker_ready
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK
from wanimate.errors import SettingsError

from ..engine.engine import Engine
from ..keeping.keeper import Keeper, check_store
from ..queues import QUEUES
from ..telemetry import get_logger
from ..webhooks import Sender
from .admission import Recorder
from .callers import CeleryCallers
from .control import runtime_of
from .tasks import InternalTask

if TYPE_CHECKING:
    from collections.abc import Iterator

log = get_logger(__name__)

#: `WANIMATE_WORKER_THREADS` has the same bound.
_MAX_THREADS: Final = 256


class EngineStep(bootsteps.StartStopStep):
    """Starts before Celery reads messages and stops after it (Celery documentation, "Extensions and Bootsteps").

    Args:
        worker: Celery's `WorkController`.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        task = worker.app.tasks[GENERATE_TASK]
        callers = CeleryCallers(task, lambda: getattr(getattr(worker, "consumer", None), "event_dispatcher", None))
        self.engine = Engine(task.runtime, callers, submissions=worker.concurrency)
        self.recorder = Recorder(task.runtime, callers)
        threads = task.runtime.settings.keep_threads
        keepers = [Keeper(task.runtime, threads)] if threads else []
        #: In the order in which they start.
        self._parts: tuple[Sender | Keeper | Engine | Recorder, ...]
        self._parts = (Sender(task.runtime), *keepers, self.engine, self.recorder)
        for each in worker.app.tasks.values():
            if isinstance(each, InternalTask):
                each.engine = self.engine
        worker.wanimate = self
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:  # noqa: ARG002
        """Start to work; Celery calls this."""
        for part in self._parts:
            part.start()

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Record what was taken, and end what was begun; Celery calls this on a warm shutdown."""
        for part in reversed(self._parts):
            part.stop()

    def terminate(self, worker: Any) -> None:  # noqa: ARG002
        """Stop at once; Celery calls this on a cold shutdown."""
        for part in reversed(self._parts):
            part.stop(waits=False)


def stop(error: SettingsError) -> Never:
    """End this process with one line."""
    sys.exit(f"wanimate-worker: {error}")


@celeryd_init.connect
def _check_settings(instance: Any = None, **_: Any) -> None:
    """Stop a worker that cannot speak to the vendor, or reads another account's jobs, before it takes a message.

    Beat and Flower need no key.
    """
    # The next task of a caller's chain goes to Celery's default queue, where the caller's workers find it. Sending
    # there makes the queue known to this app, and without this the worker would read it too after a reconnect.
    # `celery worker -Q` comes later and so comes first.
    instance.app.amqp.queues.select(QUEUES)
    runtime = runtime_of(instance)
    runtime.worker_name = instance.hostname
    if runtime.settings.webhook_url is not None and runtime.settings.webhook_secret is None:
        stop(SettingsError("WANIMATE_WEBHOOK_URL needs WANIMATE_WEBHOOK_SECRET, which webhooks are signed with"))
    try:
        runtime.vendor  # noqa: B018 - making the client checks address, key, proxy and certificates
        runtime.ledger  # noqa: B018 - making the ledger checks whose database this is
        runtime.tracing  # noqa: B018 - importing OpenTelemetry takes a while; no job shall wait for it
        if runtime.settings.keep_threads:
            check_store(runtime)
    except SettingsError as error:
        stop(error)
    except RedisError:
        # Celery waits for Redis; the database is checked when it is first used.
        return


@worker_init.connect
def _check_options(sender: Any = None, **_: Any) -> None:
    """Stop a worker whose options would lose jobs or end it, before it takes a message."""
    problem = next(_problems(sender), None)
    if problem is not None:
        stop(SettingsError(problem))
    # Workers need not hear of each other: Flower listens to the same heartbeats. Mingle stays, though it costs a
    # second at each start: it is how a new worker learns which messages were revoked.
    sender.options["without_gossip"] = True


def _problems(worker: Any) -> Iterator[str]:
    threads = worker.concurrency
    if not issubclass(get_implementation(worker.pool_cls), TaskPool):
        yield "--pool: a worker runs threads only; leave the option out"
    if worker.options.get("autoscale"):
        yield "--autoscale: the number of threads is fixed; set -c, and start more workers to do more at once"
    if isinstance(threads, int) and not 1 <= threads <= _MAX_THREADS:
        yield f"--concurrency: a number from 1 to {_MAX_THREADS} is expected, got {threads}"
    if worker.purge:
        yield "--purge: it would delete jobs that no worker has recorded; cancel them with wanimate-worker cancel"
    others = sorted(set(worker.app.amqp.queues.consume_from) - set(QUEUES))
    if others:
        yield f"--queues: a worker reads {', '.join(QUEUES)} only, and would lose the messages of {', '.join(others)}"


@worker_ready.connect
def _log_start(sender: Any = None, **_: Any) -> None:
    """Write whose jobs it works on and within which limits, and where its own settings say something else."""
    runtime = runtime_of(sender)
    settings, limits = runtime.settings, None
    with suppress(RedisError):
        limits = runtime.ledger.limits.read()
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
        log.warning(
            "the account's limits apply, not this worker's settings; see wanimate-worker limits", cause=difference
        )
