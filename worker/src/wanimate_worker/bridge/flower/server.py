"""Flower's process: `wanimate-worker flower`."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from flower import command
from flower.options import options
from flower.urls import settings as handler_settings
from wanimate.errors import SettingsError

from ...addresses import is_loopback
from ...serving import open_hasty_database
from ...settings import WorkerSettings
from ...telemetry import get_logger, set_up_logs
from ..app import create_app, ignore_celery_variables
from ..worker import stop
from .application import GuardedFlower, is_closed
from .live import LiveView, row_formatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from ...service_settings import FlowerSettings

log = get_logger(__name__)

_OPEN_API: Final = "FLOWER_UNAUTHENTICATED_API"
#: Defaults that differ from Flower's.
_DEFAULTS: Final[dict[str, Any]] = {
    # About 5 KB each. Flower's own 100,000 would take half a gigabyte.
    "max_tasks": 10_000,
    "tasks_columns": "state,uuid,kwargs,result,runtime,received",
    "natural_time": True,
    # Celery tasks take milliseconds, videos minutes; seconds.
    "task_runtime_metric_buckets": [5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0],
}


def run_flower(host: str | None, port: int | None, arguments: Sequence[str]) -> None:
    """Run Flower until the process is stopped.

    Args:
        host: The address to listen on; loopback if neither this nor Flower's own settings name one.
        port: The port to listen on; 5555 if neither this nor Flower's own settings name one.
        arguments: More of Flower's own options, such as `--url_prefix=flower`.

    Raises:
        SettingsError: Other machines could open it without a password, an option is unknown, or a setting is wrong.
    """
    settings = WorkerSettings.load()
    _read_options(host, port, arguments)
    command.extract_settings()
    set_up_logs(settings.log_format, "DEBUG" if options.debug else settings.log_level)
    ignore_celery_variables()
    flower = make_flower(settings, options=options, capp=create_app(settings), **handler_settings)
    atexit.register(flower.stop)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        bound_port = flower.start_http_server()
    except OSError as error:
        raise SettingsError(f"cannot listen on {options.address}:{options.port} ({error.strerror})") from None
    log.info("Flower listens", address=options.unix_socket or f"http://{options.address}:{bound_port}")
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        return


def make_flower(settings: WorkerSettings, *, options: Any, capp: Celery, **handler_settings: Any) -> GuardedFlower:
    """Return Flower with its own options and handler settings; it does not listen yet.

    Raises:
        SettingsError: Other machines could open it without a password.
    """
    secure(options, settings)
    # It must come up without Redis.
    ledger = open_hasty_database(settings).ledger
    view = None
    if options.format_task is None:
        view = LiveView(ledger)
        options.format_task = row_formatter(view)
    return GuardedFlower(options=options, capp=capp, ledger=ledger, view=view, **handler_settings)


def secure(options: Any, settings: FlowerSettings) -> None:
    """Make Flower listen to this machine only, unless its options or our settings require a login.

    Raises:
        SettingsError: Other machines could open it without a password.
    """
    if settings.flower_auth is not None:
        ours = settings.flower_auth.get_secret_value()
        options.basic_auth = [ours, *(other for other in options.basic_auth or [] if other != ours)]
    if os.environ.get(_OPEN_API):
        raise SettingsError(
            f"{_OPEN_API} would let anyone cancel jobs and stop workers: unset it, and set "
            "WANIMATE_FLOWER_AUTH=user:password"
        )
    if not (options.unix_socket or is_closed(options)):
        if options.address and not is_loopback(options.address):
            raise SettingsError(
                f"a password is required for Flower to listen on {options.address}: set "
                "WANIMATE_FLOWER_AUTH=user:password (or Flower's own --auth for OAuth2), or listen on 127.0.0.1"
            )
        # Flower refuses its buttons without a password; this removes them from its pages.
        options.read_only = True
    options.address = options.address or "127.0.0.1"


def guard_celery_flower(settings: WorkerSettings) -> None:
    """Make `celery flower` run the same Flower; its command asks its module for the class."""

    def make(**given: Any) -> GuardedFlower:
        try:
            return make_flower(settings, **given)
        except SettingsError as error:
            stop(error)

    command.Flower = make


def _read_options(host: str | None, port: int | None, arguments: Sequence[str]) -> None:
    unknown = [argument for argument in arguments if not command.is_flower_option(argument)]
    if unknown:
        # Flower itself would ignore them, a misspelt --basic_auth included.
        raise SettingsError(f"Flower has no option {unknown[0].partition('=')[0]}; write options as --name=value")
    for name, value in _DEFAULTS.items():
        setattr(options, name, value)
    command.apply_env_options()
    command.apply_options(sys.argv[0], list(arguments))
    if host is not None:
        options.address = host
    if port is not None:
        options.port = port
