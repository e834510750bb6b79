"""The receiver's process: `wanimate-worker callbacks`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import uvicorn
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from wanimate.contract import CONTROL_QUEUE, POLL_TASK
from wanimate.errors import SettingsError

from ..app import create_app, ignore_celery_variables, tick_expiry_seconds
from ..database import open_database
from ..observability import get_logger, set_up_logs
from ..settings import WorkerSettings
from .receiver import Receiver
from .signature import Signer

if TYPE_CHECKING:
    from celery import Celery

log = get_logger(__name__)

#: Bound on one exchange with Redis, in seconds; a vendor that gets no answer calls again.
_REDIS_TIMEOUT_SECONDS: Final = 2.0
#: Requests at once; beyond that callers get 503. A full account has a few dozen callbacks a second.
_MOST_REQUESTS: Final = 500
#: How long a stop waits for requests under way, in seconds.
_STOP_SECONDS: Final = 5


def run_receiver(host: str, port: int) -> None:
    """Receive callbacks until told to stop.

    Args:
        host: The address to listen on.
        port: The port to listen on.

    Raises:
        SettingsError: Callbacks are not switched on, or a setting is wrong.
    """
    settings = WorkerSettings.load()
    set_up_logs(settings.log_format, settings.log_level)
    receiver = make_receiver(settings)
    config = uvicorn.Config(
        receiver,
        host=host,
        port=port,
        # One parser and loop wherever it runs; the load is small.
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        # A callback's URL carries its signature: it is in no log of ours.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):
        # uvicorn raises the signal that stopped it once more when it has stopped in order.
        if not server.started:
            raise


def make_receiver(settings: WorkerSettings) -> Receiver:
    """Return the receiver for these settings.

    Args:
        settings: The settings of the workers whose callbacks it receives.

    Raises:
        SettingsError: Callbacks are not switched on, or the Redis database belongs to another account.
    """
    if settings.callback_base_url is None or settings.callback_secret is None:
        raise SettingsError(
            "WANIMATE_CALLBACK_BASE_URL: set the address where the vendor reaches this receiver, here and for the "
            "workers; without it they ask for no callbacks"
        )
    ignore_celery_variables()
    hasty = settings.model_copy(
        update={"redis_timeout_seconds": min(settings.redis_timeout_seconds, _REDIS_TIMEOUT_SECONDS)}
    )
    redis, ledger = open_database(hasty, Retry(NoBackoff(), 1))
    try:
        ledger.check_database()
    except RedisError as error:
        # It must come up without Redis: callers get 503 and call again. Its URLs name the account, too.
        log.warning("Redis is away: whose database it is was not looked at", cause=type(error).__name__)
    publish = partial(_publish_poll, create_app(hasty), tick_expiry_seconds(settings.poll_tick_seconds))
    return Receiver(redis, ledger, settings.account, Signer(settings.callback_secret), publish)


def _publish_poll(app: Celery, expires_seconds: float) -> None:
    app.send_task(POLL_TASK, queue=CONTROL_QUEUE, ignore_result=True, expires=expires_seconds, retry=False)
