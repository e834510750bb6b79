"""The Celery tasks, one a file."""

from __future__ import annotations

from .cancel import CancelTask
from .enqueue import EnqueueTask
from .generate import GenerateTask
from .housekeeping import HousekeepingTask
from .poll import PollTask

__all__ = ["CancelTask", "EnqueueTask", "GenerateTask", "HousekeepingTask", "PollTask"]
