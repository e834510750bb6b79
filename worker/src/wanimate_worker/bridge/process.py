"""The app of this process: `celery -A wanimate_worker worker`, `beat` and `flower` find it here."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from celery.signals import celeryd_init, setup_logging
from click import get_current_context
from click.core import ParameterSource
from wanimate.errors import SettingsError

from ..settings import WorkerSettings
from ..telemetry import set_up_logs
from .app import create_app, ignore_celery_variables
from .worker import stop

if TYPE_CHECKING:
    from celery import Celery


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


def _is_level_given() -> bool:
    """Whether the command line names a level: Celery's default, WARNING, would hide what becomes of jobs."""
    context = get_current_context(silent=True)
    return context is not None and context.get_parameter_source("loglevel") is ParameterSource.COMMANDLINE
