"""What everything that works for one account in one process shares: the ledger, the vendor, and the way to go on."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from wanimate.contract import Keys
from wanimate.errors import SettingsError

from ..database import Database, open_database
from ..telemetry import Tracing, get_logger, open_tracing
from ..vendor import VendorClient
from .doorbell import Doorbell
from .pacer import Pacer
from .signature import Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis import Redis

    from ..ledger import Ledger
    from ..settings import WorkerSettings

log = get_logger(__name__)


class Runtime:
    """The parts that work is done with, each made when it is first used."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        #: The worker's name, if this process is one.
        self.worker_name = ""
        #: Takes what this process has room for and returns the rest; a worker's engine sets it.
        self.take: Callable[[list[str]], list[str]] | None = None
        #: Has this process send webhooks now; its sender sets it. Others find them within a second.
        self.wake_sender: Callable[[], None] = lambda: None
        #: Has this process copy videos now; its keeper sets it. Others find them within a second.
        self.wake_keeper: Callable[[], None] = lambda: None

    @cached_property
    def _database(self) -> Database:
        return open_database(self.settings, worker=self.worker_name)

    @cached_property
    def redis(self) -> Redis:
        """The account's Redis."""
        return self._database.redis

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of this account; its limits are filled from the settings if none are known.

        Raises:
            SettingsError: The Redis database belongs to another account, or its tasks are at another vendor.
        """
        ledger = self._database.ledger
        ledger.claim_database()
        ledger.limits.fill(self.settings.account_limits())
        ledger.check_vendor(self.settings.api_base_url)
        return ledger

    @cached_property
    def vendor(self) -> VendorClient:
        """The vendor.

        Raises:
            SettingsError: No API key is set, or no HTTP client can be made with these settings and this environment.
        """
        settings = self.settings
        if settings.api_key is None:
            raise SettingsError("WANIMATE_API_KEY: a worker needs the vendor's API key; set it and start again")
        client = VendorClient(
            settings.api_base_url,
            settings.api_key,
            timeouts=settings.timeouts(),
            trust_env=settings.trust_env,
            allow_http=settings.allow_http,
        )
        client.prepare()
        return client

    @cached_property
    def doorbell(self) -> Doorbell:
        """Wakes other workers of the account."""
        return Doorbell(self.redis, Keys(self.settings.account), round(self.settings.lease_seconds * 1000))

    @cached_property
    def tracing(self) -> Tracing:
        """What makes the spans of jobs, if anything does."""
        return open_tracing()

    @cached_property
    def pacer(self) -> Pacer:
        """When to poll tasks."""
        return Pacer(self.ledger, self.settings)

    def callback_url(self, job_id: str, nonce: str) -> str | None:
        """Return where the vendor reports the end of an attempt; None where it is only polled."""
        settings = self.settings
        if settings.callback_base_url is None or settings.callback_secret is None:
            return None
        return Signer(settings.callback_secret).url(settings.callback_base_url, settings.account, job_id, nonce)

    def go_on(self, job_ids: Iterable[str]) -> None:
        """Work on jobs that have a slot or an outcome, or offer them to other workers.

        It does not fail: while Redis is away nothing is lost, because the lease of each job ends and it is found then.
        """
        pending = list(job_ids)
        try:
            if pending and self.take is not None:
                pending = self.take(pending)
            self.doorbell.ring_ready(pending)
        except RedisError as error:
            log.warning("Redis is unavailable; the jobs continue when their leases end", jobs=len(pending), cause=error)
