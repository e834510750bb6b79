"""The ledger of one vendor account, by concern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import DATABASE_KEY
from wanimate.errors import SettingsError

from .balance import Balance
from .durable import Durable
from .erasing import Erasing
from .followers import Followers
from .gate import Gate
from .jobs import Jobs
from .keeps import Keeps
from .operating import DeadLetters, FailedJobs
from .outbox import Outbox
from .polls import Limits, Polls
from .records import Records
from .script import Context

if TYPE_CHECKING:
    from redis import Redis

    from .limits import LedgerLimits


class Ledger:
    """Jobs, slots, clock, budget and gate of one vendor account.

    Every method of its parts is one atomic script (or reads); every change is safe to repeat.

    Args:
        redis: A connection that decodes responses to `str`.
        limits: This process's leases.
    """

    def __init__(self, redis: Redis, account: str, limits: LedgerLimits) -> None:
        context = self._context = Context(redis, account, limits)
        #: The steps of jobs.
        self.jobs: Final = Jobs(context)
        #: What must outlive the server.
        self.durable: Final = Durable(context)
        #: Their further callers.
        self.followers: Final = Followers(context)
        #: The clock and the request budget.
        self.polls: Final = Polls(context)
        #: Whether anything is sent.
        self.gate: Final = Gate(context)
        #: The account's balance.
        self.balance: Final = Balance(context)
        #: The account's limits.
        self.limits: Final = Limits(context)
        #: The videos that are copied.
        self.keeps: Final = Keeps(context)
        #: The webhooks that are to be delivered.
        self.outbox: Final = Outbox(context)
        #: What is deleted for good.
        self.erasing: Final = Erasing(context)
        #: What is only read.
        self.records: Final = Records(context)
        #: Jobs that failed, and may be run again.
        self.failed: Final = FailedJobs(context)
        #: Messages that could not be used.
        self.dead_letters: Final = DeadLetters(context)

    def claim_database(self) -> None:
        """Make sure that this Redis database serves this account and no other; one that serves none becomes its own.

        Raises:
            SettingsError: It belongs to another account.
        """
        self._context.redis.setnx(DATABASE_KEY, self._context.account)
        self.check_database()

    def check_database(self) -> None:
        """Make sure that this Redis database serves no other account.

        Raises:
            SettingsError: It belongs to another account.
        """
        account, owner = self._context.account, self._context.redis.get(DATABASE_KEY)
        if owner not in {None, account}:
            raise SettingsError(
                f"WANIMATE_ACCOUNT: this Redis database belongs to the account {owner!r}, not {account!r}: give each "
                f"account a database of its own in WANIMATE_REDIS_URL, or delete the key {DATABASE_KEY} if the account "
                "has a new name and no job is left"
            )

    def check_vendor(self, api_base_url: str) -> None:
        """Make sure that this account's tasks are at this vendor; any will do while no worker has said which.

        Raises:
            SettingsError: They are at another one.
        """
        known = cast("str | None", self._context.redis.hget(self._context.keys.account, "api_base_url"))
        if known not in {None, api_base_url}:
            raise SettingsError(
                f"WANIMATE_API_BASE_URL: the tasks of this Redis database are at {known}, not at {api_base_url}: "
                "correct it; or move to another vendor with `wanimate-worker drain` and then `wanimate-worker limits "
                "--api-base-url URL`"
            )
