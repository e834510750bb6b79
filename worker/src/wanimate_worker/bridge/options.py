"""Options of `celery worker` that would lose jobs or stop the worker: it refuses them before it takes a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool
from wanimate.errors import SettingsError

from ..queues import QUEUES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: `WANIMATE_WORKER_THREADS` has the same bound.
_MAX_THREADS: Final = 256


def check_options(worker: Any) -> None:
    """Make sure that a worker can work with the options it was started with.

    Args:
        worker: Celery's `WorkController`, once it has read its options and before it does anything.

    Raises:
        SettingsError: It cannot; the message names the option.
    """
    problem = next(_problems(worker), None)
    if problem is not None:
        raise SettingsError(problem)


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
