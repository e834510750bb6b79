"""The ledger of one vendor account, by concern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import DATABASE_KEY
from wanimate.errors import SettingsError

from .balance import Balance
from .durable import Durable
from .followers import Followers
from .gate import Gate
from .jobs import Jobs
from .limits import AccountLimits
from .operating import DeadLetters, FailedJobs
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
        account: The vendor account.
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
        #: What is only read.
        self.records: Final = Records(context)
        #: Jobs that failed, and may be run again.
        self.failed: Final = FailedJobs(context)
        #: Messages that could not be used.
        self.dead_letters: Final = DeadLetters(context)
        self._name_flat()

    def _name_flat(self) -> None:  # noqa: PLR0915 - until all callers name the part
        self.admit = self.jobs.admit
        self.begin = self.jobs.begin
        self.accept = self.jobs.accept
        self.lose = self.jobs.mark_unknown
        self.drop_hint = self.jobs.drop_hint
        self.mark_unreadable = self.jobs.mark_unreadable
        self.settle = self.jobs.settle
        self.finish = self.jobs.mark_delivered
        self.cancel = self.jobs.cancel
        self.forget = self.jobs.forget
        self.release = self.jobs.release
        self.refuse = self.jobs.refuse
        self.unpark = self.jobs.unpark
        self.expire = self.jobs.expire
        self.confirm = self.durable.confirm
        self.callback = self.durable.callback
        self.follow = self.followers.add
        self.conclude = self.followers.conclude
        self.claim = self.polls.claim
        self.plan = self.polls.plan
        self.grant = self.polls.grant
        self.repair = self.polls.repair
        self.permit = self.polls.permit
        self.survey = self.polls.survey
        self.tick = self.polls.tick
        self.trim = self.polls.trim
        self.postpone = self.gate.postpone
        self.close_gate = self.gate.close
        self.tasks_at_vendor = self.gate.tasks_at_vendor
        self.pause = self.gate.suspend
        self.unpause = self.gate.unsuspend
        self.claim_probe = self.gate.claim_probe
        self.hold = self.gate.pause
        self.unhold = self.gate.resume
        self.claim_balance = self.balance.claim
        self.record_balance = self.balance.record
        self.note_no_balance = self.balance.note_none
        self.fill_limits = self.limits.fill
        self.set_limits = self.limits.set
        self.read = self.records.read
        self.unsent = self.records.unsent
        self.presence = self.records.presence
        self.in_flight = self.records.in_flight
        self.waiting = self.records.waiting
        self.parked = self.records.parked
        self.page = self.records.page
        self.undelivered = self.records.undelivered
        self.now_ms = self.records.now_ms
        self.retry = self.failed.retry
        self.revise = self.failed.replace_outcome
        self.adopt = self.failed.attach_task
        self.bury = self.dead_letters.add
        self.unbury = self.dead_letters.remove
        self.clear_dead = self.dead_letters.clear
        self.dead = self.dead_letters.read

    def account_limits(self) -> AccountLimits | None:
        """Return the account's limits; None where no worker has filled them yet."""
        return AccountLimits.read(cast("dict[str, str]", self._context.redis.hgetall(self._context.keys.limits)))

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

        Args:
            api_base_url: The vendor's address.

        Raises:
            SettingsError: They are at another one.
        """
        known = cast("str | None", self._context.redis.hget(self._context.keys.limits, "api_base_url"))
        if known not in {None, api_base_url}:
            raise SettingsError(
                f"WANIMATE_API_BASE_URL: the tasks of this Redis database are at {known}, not at {api_base_url}: "
                "correct it; or move to another vendor with `wanimate-worker drain` and then `wanimate-worker limits "
                "--api-base-url URL`"
            )
