"""`wanimate-worker keep`: a keeper as a process of its own."""

from __future__ import annotations

import signal
import threading

from ..database import open_database
from ..engine.runtime import Runtime
from ..settings import WorkerSettings
from ..telemetry import get_logger, set_up_logs
from .keeper import Keeper, check_store

log = get_logger(__name__)


def run_keeper(threads: int) -> None:
    """Copy videos until SIGTERM or SIGINT; needs neither the vendor's API key nor Celery.

    Args:
        threads: How many are copied at once.

    Raises:
        SettingsError: A setting, the store or its credentials are wrong, or Redis belongs to another account.
        RedisError: Redis is not available.
    """
    settings = WorkerSettings.load()
    set_up_logs(settings.log_format, settings.log_level)
    runtime = Runtime(settings)
    runtime.redis, runtime.ledger = open_database(settings)
    runtime.ledger.check_database()
    keeper, store = Keeper(runtime, threads), check_store(runtime)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    keeper.start()
    log.info("keeper has started", account=settings.account, store=store, threads=threads)
    if store is None:
        log.warning(
            "the account has no store; set WANIMATE_KEEP_URL for its workers, or run wanimate-worker limits --keep-url"
        )
    stopped.wait()
    log.info("keeper stops when its copies have ended")
    keeper.stop()
    log.info("keeper has stopped")
