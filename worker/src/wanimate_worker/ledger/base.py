"""What every part of the ledger works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import DATABASE_KEY, Keys, OutcomeKind
from wanimate.errors import SettingsError

from .scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis
    from wanimate.contract import Outcome

    from .limits import LedgerLimits

#: Longer causes are cut in a job's history, in characters.
_MAX_CAUSE: Final = 120


class LedgerBase:
    """The connection, the scripts, the keys and the numbers of one vendor account.

    Args:
        redis: A connection that decodes responses to `str`.
        account: The vendor account.
        limits: This process's leases.
    """

    def __init__(self, redis: Redis, account: str, limits: LedgerLimits) -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._account = account
        self._keys = Keys(account)
        self._limits = limits

    def claim_database(self) -> None:
        """Make sure that this Redis database serves this account and no other; one that serves none becomes its own.

        Raises:
            SettingsError: It belongs to another account.
        """
        self._redis.setnx(DATABASE_KEY, self._account)
        self.check_database()

    def check_database(self) -> None:
        """Make sure that this Redis database serves no other account.

        Raises:
            SettingsError: It belongs to another account.
        """
        owner = self._redis.get(DATABASE_KEY)
        if owner not in {None, self._account}:
            raise SettingsError(
                f"WANIMATE_ACCOUNT: this Redis database belongs to the account {owner!r}, not {self._account!r}: give "
                f"each account a database of its own in WANIMATE_REDIS_URL, or delete the key {DATABASE_KEY} if the "
                "account has a new name and no job is left"
            )

    def check_vendor(self, api_base_url: str) -> None:
        """Make sure that this account's tasks are at this vendor; any will do while no worker has said which.

        Args:
            api_base_url: The vendor's address.

        Raises:
            SettingsError: They are at another one.
        """
        known = cast("str | None", self._redis.hget(self._keys.limits, "api_base_url"))
        if known not in {None, api_base_url}:
            raise SettingsError(
                f"WANIMATE_API_BASE_URL: the tasks of this Redis database are at {known}, not at {api_base_url}: "
                "correct it; or move to another vendor with `wanimate-worker drain` and then `wanimate-worker limits "
                "--api-base-url URL`"
            )

    # -- arguments that many scripts share ----------------------------------------------------------------------

    def _job_keys(self, job_id: str) -> list[str]:
        keys = self._keys
        return [keys.job(job_id), keys.waiting, keys.slots, keys.due, keys.gate, keys.limits]

    def _grants(self) -> list[str | int | float]:
        return [self._limits.lease_ms, self._limits.grant_batch]

    def _failed_ttl(self, outcome: Outcome) -> str | int:
        return self._limits.failed_ttl_ms if outcome.kind is OutcomeKind.FAILED else ""


def cause_of(outcome: Outcome, by: str = "") -> str:
    """Return an outcome as the cause in a job's history.

    Args:
        outcome: How the job ended.
        by: Who found out, if not the poll or the vendor's answer.
    """
    return bounded(f"{outcome.error or outcome.kind.value}{f' ({by})' if by else ''}")


def bounded(cause: str) -> str:
    """Return a cause as it may stand in a job's history."""
    return cause[:_MAX_CAUSE]
