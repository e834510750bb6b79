"""How this package's own HTTP servers run, and how they reach Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import uvicorn
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from .database import open_database
from .telemetry import get_logger

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .database import Database
    from .settings import WorkerSettings

log = get_logger(__name__)

#: Bound on one exchange with Redis, in seconds: callers get an error soon, and can retry.
_REDIS_TIMEOUT_SECONDS: Final = 2.0
#: How long a stop waits for requests under way, in seconds.
_STOP_SECONDS: Final = 5


def serve(app: ASGIApp, host: str, port: int, *, max_requests: int) -> None:
    """Serve until SIGTERM or SIGINT; beyond `max_requests` at once callers get 503."""
    config = uvicorn.Config(
        app,
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
        limit_concurrency=max_requests,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):
        # uvicorn raises the signal that stopped it once more when it has stopped in order.
        if not server.started:
            raise


def open_hasty_database(settings: WorkerSettings) -> Database:
    """Return the account's database for a server, which must come up without Redis, too.

    Raises:
        SettingsError: The Redis database belongs to another account.
    """
    seconds = min(settings.redis_timeout_seconds, _REDIS_TIMEOUT_SECONDS)
    hasty = settings.model_copy(update={"redis_timeout_seconds": seconds})
    database = open_database(hasty, Retry(NoBackoff(), 1))
    try:
        database.ledger.check_database()
    except RedisError as error:
        log.warning("Redis is away: the account of its database was not checked", cause=type(error).__name__)
    return database
