"""What the vendor calls: checks the signature, makes the job due, answers. It decides nothing about a job."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from wanimate.errors import SettingsError

from ..engine.signature import CALLBACK_PATH, SignedPath, Signer
from ..ledger import CallbackEffect, NotReplicated
from ..serving import open_hasty_database, serve
from ..settings import WorkerSettings
from ..telemetry import get_logger, set_up_logs
from .body import BodyCutOff, BodyTooLarge, named_task, read_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis import Redis
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ..ledger import Ledger

log = get_logger(__name__)

#: How long a callback waits for Redis before it is answered with an error, in seconds; callers give up after a few.
LEDGER_TIMEOUT_SECONDS: Final = 3.0
#: How long the liveness check waits for Redis, in seconds.
HEALTH_TIMEOUT_SECONDS: Final = 1.0
#: Requests at once; beyond that callers get 503. A full account has a few dozen callbacks a second.
_MAX_REQUESTS: Final = 500
#: Exchanges with Redis at once; each takes well under a millisecond of it.
_THREADS: Final = 16
#: Forged callbacks are logged no more often than this, in seconds.
_FORGED_LOG_SECONDS: Final = 60.0

#: The rest of a body that was not read to its end goes with its connection.
_HANG_UP: Final = {"connection": "close"}

#: The one status that the vendor takes as received; after any other, 204 included, it calls again.
_OK: Final = 200
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = 503


@dataclass(slots=True)
class Counts:
    """Callbacks since the start of this process, by what they did.

    Args:
        due: Made a job due now.
        noted: Left a note; the job is checked later.
        checking: Named another task than the one that is being checked; the vendor must repeat it.
        stale: Belonged to an attempt that is no longer the job's.
        ended: Came for a job that has ended, or has no record.
        forged: Had no valid signature.
        too_large: Had a body over the limit; these are counted by their effect too.
        unavailable: Could not be recorded, because Redis did not answer in time; the vendor must repeat it.
    """

    due: int = 0
    noted: int = 0
    checking: int = 0
    stale: int = 0
    ended: int = 0
    forged: int = 0
    too_large: int = 0
    unavailable: int = 0


class Receiver:
    """The receiver of one account, as an ASGI app.

    Args:
        redis: The connection of the ledger, for the liveness check.
        ledger: The account's ledger.
        account: The account; callbacks of another one are refused.
        signer: Tells our URLs from others.
    """

    def __init__(self, redis: Redis, ledger: Ledger, account: str, signer: Signer) -> None:
        self.counts = Counts()
        self._redis = redis
        self._ledger = ledger
        self._account = account
        self._signer = signer
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="callback")
        self._tell_forged_at = 0.0
        routes = [
            Route(CALLBACK_PATH + "{signed:path}", self._callback, methods=["POST"]),
            Route("/health", self._health),
        ]
        self._app = Starlette(routes=routes, lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._threads.shutdown(wait=False, cancel_futures=True)
        log.info("callbacks received", **asdict(self.counts))

    async def _callback(self, request: Request) -> Response:
        path = SignedPath.read(request.path_params["signed"])
        # Before the body is read: a caller that cannot sign makes us do nothing but this.
        if path is None or path.account != self._account or not self._signer.has_signed(path):
            return self._refuse()
        task_id, headers, is_cut_off = "", None, False
        try:
            task_id = named_task(await read_body(request))
        except BodyTooLarge:
            # The URL alone says that there is news of this job, and the same body again would be no shorter.
            self.counts.too_large += 1
            headers = _HANG_UP
        except BodyCutOff:
            headers, is_cut_off = _HANG_UP, True
        try:
            effect = await self._note(path, task_id)
        except (RedisError, TimeoutError, NotReplicated) as error:
            self.counts.unavailable += 1
            log.warning(
                "callback refused; the vendor must repeat it: Redis is unavailable or has too few replicas",
                job_id=path.job_id,
                cause=repr(error),
            )
            return Response(status_code=_UNAVAILABLE)
        setattr(self.counts, effect.value, getattr(self.counts, effect.value) + 1)
        log.debug("callback accepted", job_id=path.job_id, effect=effect)
        why_again = ""
        if effect is CallbackEffect.CHECKING:
            why_again = "another task id is checked first"
        elif is_cut_off and effect is CallbackEffect.NOTED:
            why_again = "its body was cut off"
        if why_again:
            log.warning("callback refused; the vendor must repeat it", job_id=path.job_id, cause=why_again)
        return Response(status_code=_UNAVAILABLE if why_again else _OK, headers=headers)

    async def _note(self, path: SignedPath, task_id: str) -> CallbackEffect:
        async with asyncio.timeout(LEDGER_TIMEOUT_SECONDS):
            callback, loop = self._ledger.durable.callback, asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, callback, path.job_id, path.nonce, task_id)

    def _refuse(self) -> Response:
        self.counts.forged += 1
        if time.monotonic() >= self._tell_forged_at:
            self._tell_forged_at = time.monotonic() + _FORGED_LOG_SECONDS
            log.warning("callbacks without a valid signature", so_far=self.counts.forged)
        return Response(status_code=_FORBIDDEN, headers=_HANG_UP)

    async def _health(self, _: Request) -> Response:
        """Answer 200 while Redis answers too; the counts are for operators."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS):
                # Not in the callbacks' threads: those may all be waiting.
                await asyncio.to_thread(self._redis.ping)
        except (RedisError, TimeoutError):
            return JSONResponse({"status": "Redis does not answer", "callbacks": asdict(self.counts)}, _UNAVAILABLE)
        return JSONResponse({"status": "ok", "callbacks": asdict(self.counts)})


def run_receiver(host: str, port: int) -> None:
    """Receive callbacks until the process is stopped: `wanimate-worker callbacks`.

    Raises:
        SettingsError: Callbacks are not switched on, or a setting is wrong.
    """
    settings = WorkerSettings.load()
    set_up_logs(settings.log_format, settings.log_level)
    serve(make_receiver(settings), host, port, max_requests=_MAX_REQUESTS)


def make_receiver(settings: WorkerSettings) -> Receiver:
    """Return the receiver for the settings of the workers whose callbacks it receives.

    Raises:
        SettingsError: Callbacks are not switched on, or the Redis database belongs to another account.
    """
    if settings.callback_base_url is None or settings.callback_secret is None:
        raise SettingsError(
            "WANIMATE_CALLBACK_BASE_URL: set the address where the vendor reaches this receiver, here and for the "
            "workers; without it they ask for no callbacks"
        )
    # Its URLs name the account, so callbacks of another one are refused even if Redis is away now.
    redis, ledger = open_hasty_database(settings)
    return Receiver(redis, ledger, settings.account, Signer(settings.callback_secret))
