"""The engine as a part of Celery's worker: a bootstep starts it, and a warm shutdown drains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps
from wanimate.contract import GENERATE_TASK

from ..engine.engine import Engine
from .admission import Recorder
from .callers import CeleryCallers
from .events import JobEvents
from .tasks import InternalTask

if TYPE_CHECKING:
    from .callers import GenerateTask


class EngineStep(bootsteps.StartStopStep):
    """Starts before Celery reads messages and stops after it (Celery documentation, "Extensions and Bootsteps").

    Args:
        worker: Celery's `WorkController`.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        task: GenerateTask = worker.app.tasks[GENERATE_TASK]
        events = JobEvents(lambda: getattr(getattr(worker, "consumer", None), "event_dispatcher", None))
        callers = CeleryCallers(task, events)
        self.engine = Engine(task.runtime, callers, submissions=worker.concurrency)
        self.recorder = Recorder(task, callers, events)
        for each in worker.app.tasks.values():
            if isinstance(each, InternalTask):
                each.engine, each.events = self.engine, events
        worker.wanimate = self
        super().__init__(worker, **options)

    def start(self, worker: Any) -> None:
        """Start to work; Celery calls this."""
        del worker
        self.engine.start()
        self.recorder.start()

    def stop(self, worker: Any) -> None:
        """Record what was taken, and end what was begun; Celery calls this on a warm shutdown."""
        del worker
        self.recorder.stop()
        self.engine.stop()

    def terminate(self, worker: Any) -> None:
        """Stop at once; Celery calls this on a cold shutdown."""
        del worker
        self.recorder.stop(waits=False)
        self.engine.stop(waits=False)
